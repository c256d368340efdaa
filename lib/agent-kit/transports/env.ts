import * as z from "zod";
import { must } from "../../input/faults.ts";
import { integer, readEnv } from "../../runtime/env.ts";
import type { Api } from "./api.ts";

/** What an agent process is told by its environment; docs/agents.md has the table. */
export type AgentSettings = {
  queue: SqsQueue | AmqpQueue;
  /** The folder of the journal. */
  dataDir: string;
  /** Pieces of work at once. */
  concurrency: number;
  visibilitySeconds: number;
  pollSeconds: number;
  graceSeconds: number;
  /** Where it registers; nowhere where that is not known. */
  api?: Api | undefined;
};

/** Where an agent's messages are with SQS. */
export type SqsQueue = { transport: "sqs"; queueUrl: string; resultsUrl: string };

/** Where they are with AMQP: the names follow from the agent's own. */
export type AmqpQueue = { transport: "amqp"; url: string; prefix: string; ackSeconds: number };

const Choice = z.object({ AGENT_TRANSPORT: z.enum(["sqs", "amqp"]).default("sqs") });

const SqsEnv = z.object({
  AGENT_QUEUE_URL: z.url(must("be the URL of this agent's queue")),
  RESULTS_QUEUE_URL: z.url(must("be the URL of the results queue")),
});

const AmqpEnv = z.object({
  RABBITMQ_URL: z.url({ protocol: /^amqps?$/, ...must("be the broker's URL, such as amqp://user:password@host:5672") }),
  RABBITMQ_PREFIX: z.string().max(100).default(""),
  AMQP_ACK_SECONDS: integer(1, 86_400, 600),
});

/** Reads the agent's environment. Throws a ConfigError that names every variable that is wrong. */
export function readAgentEnv(concurrency = 4, source?: NodeJS.ProcessEnv): AgentSettings {
  const { AGENT_TRANSPORT } = readEnv(Choice, source);
  const AgentEnv = z.object({
    WAYBILL_AGENT_DATA: z.string().default(".waybill/agents"),
    AGENT_CONCURRENCY: integer(1, 100, concurrency),
    AGENT_VISIBILITY_SECONDS: integer(2, 43_200, 30),
    AGENT_POLL_SECONDS: integer(1, 20, 3),
    AGENT_GRACE_SECONDS: integer(0, 3600, 8),
    WAYBILL_API_URL: z.url({ protocol: /^https?$/, ...must("be the URL of Waybill's HTTP API") }).optional(),
    WAYBILL_API_SIGN: z.enum(["true", "false"]).optional(),
    AGENT_PRESENCE_EVERY_SECONDS: integer(1, 3600, 60),
  });
  const common = (env: z.infer<typeof AgentEnv>) => ({
    dataDir: env.WAYBILL_AGENT_DATA,
    concurrency: env.AGENT_CONCURRENCY,
    visibilitySeconds: env.AGENT_VISIBILITY_SECONDS,
    pollSeconds: env.AGENT_POLL_SECONDS,
    graceSeconds: env.AGENT_GRACE_SECONDS,
    api: apiOf(env.WAYBILL_API_URL, env.WAYBILL_API_SIGN, env.AGENT_PRESENCE_EVERY_SECONDS),
  });
  if (AGENT_TRANSPORT === "amqp") {
    const env = readEnv(AmqpEnv.extend(AgentEnv.shape), source);
    const queue = { url: env.RABBITMQ_URL, prefix: env.RABBITMQ_PREFIX, ackSeconds: env.AMQP_ACK_SECONDS };
    return { queue: { transport: "amqp", ...queue }, ...common(env) };
  }
  const env = readEnv(SqsEnv.extend(AgentEnv.shape), source);
  const queue = { queueUrl: env.AGENT_QUEUE_URL, resultsUrl: env.RESULTS_QUEUE_URL };
  return { queue: { transport: "sqs", ...queue }, ...common(env) };
}

/** API Gateway's own hosts are asked with signatures unless told otherwise. */
function apiOf(url: string | undefined, sign: "true" | "false" | undefined, everySeconds: number): Api | undefined {
  if (url === undefined) return undefined;
  const isAws = /\.amazonaws\.com(\.cn)?$/.test(new URL(url).hostname);
  return { url, sign: sign === undefined ? isAws : sign === "true", everySeconds };
}
