import * as z from "zod";
import { readEnv } from "../env.ts";

/** Agent name to queue URL, as JSON. */
export const JsonMap = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue('must be JSON, such as {"code": "https://…/waybill-agent-code"}');
      return z.NEVER;
    }
  })
  .pipe(z.record(z.string(), z.url()));

const QueueEnv = z.object({
  WORK_QUEUE_URL: z.url(),
  RESULTS_QUEUE_URL: z.url(),
  AGENT_QUEUES: JsonMap.describe("agent name to queue URL; other agents have theirs in the registry"),
});

export type Queues = { work: string; results: string; agents: Record<string, string> };

/** The queues of this deployment, by what they are for. */
export function readQueues(source?: NodeJS.ProcessEnv): Queues {
  const env = readEnv(QueueEnv, source);
  // Without a prototype: an agent that calls itself "constructor" has no queue.
  const agents = Object.assign(Object.create(null) as Record<string, string>, env.AGENT_QUEUES);
  return { work: env.WORK_QUEUE_URL, results: env.RESULTS_QUEUE_URL, agents };
}
