import * as z from "zod";
import { AgentName } from "../../input/agent-name.ts";
import { dictionary } from "../../input/dictionary.ts";
import { must } from "../../input/faults.ts";
import { printable } from "../../input/json.ts";
import { nameGivenTwice } from "../../input/json-names.ts";
import { setting, type Values } from "../settings.ts";

/** A queue of SQS. */
export const queueUrl = z.url({ protocol: /^https?$/, ...must("be the URL of a queue, with http:// or https://") });

/** Agent name to queue URL, as JSON that has each name once. */
export const JsonMap = z
  .string()
  .transform((text, context) => {
    try {
      const map = JSON.parse(text) as unknown;
      const twice = nameGivenTwice(text, map);
      if (twice === undefined) return map;
      context.addIssue(`must have each name once, and has ${printable(twice.join("."), 70)} twice`);
    } catch {
      context.addIssue('must be JSON, such as {"code": "https://…/waybill-agent-code"}');
    }
    return z.NEVER;
  })
  .pipe(z.record(AgentName, queueUrl))
  .transform((map) => dictionary(map));

/** The queues of a deployment, by what they are for. */
export const queueSettings = {
  work: setting({ env: "WORK_QUEUE_URL", takes: queueUrl, says: "The queue that wakes the dispatcher." }),
  results: setting({
    env: "RESULTS_QUEUE_URL",
    takes: queueUrl,
    says: "The queue on which agents answer; agents with sqs need it too.",
  }),
  agents: setting({
    env: "AGENT_QUEUES",
    takes: JsonMap,
    example: '{"code":"https://…/waybill-agent-code"}',
    says: "JSON, agent name to queue URL. Other agents have the queue of their definition in the registry.",
  }),
};

/** How the queues of agents that the registry gets are found and made. */
export const agentQueueSettings = {
  create: setting({
    env: "AGENT_QUEUE_CREATE",
    takes: z.enum(["true", "false"]).transform((word) => word === "true"),
    default: "false",
    says: "Whether PUT /agents/{name} makes the queue of a new agent where there is none, PREFIX-agent-NAME. npm start says true.",
  }),
  prefix: setting({
    env: "AGENT_QUEUE_PREFIX",
    takes: z.string().regex(/^[A-Za-z0-9_-]{0,40}$/, must("be at most 40 letters, digits, _ and -")),
    default: "waybill",
    says: "What the name of a queue begins with that AGENT_QUEUE_CREATE finds or makes for a new agent.",
  }),
};
export type AgentQueueSettings = Values<typeof agentQueueSettings>;
