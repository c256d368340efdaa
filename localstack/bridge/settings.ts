import * as z from "zod";
import { must } from "../../lib/input/faults.ts";
import { JsonMap } from "../../lib/runtime/aws/queue-settings.ts";
import { integer, readEnv } from "../../lib/runtime/env.ts";

/** The most bytes of one queue in hand at once, by the size of its last messages, each way. */
export const MOST_BYTES = 16_777_216;

/** The most calls of SQS at once for one queue, each way. */
export const CALLS = 8;

/** What the bridge is told by its environment; docs/queues.md has the table. */
export type BridgeSettings = {
  rabbitUrl: string;
  /** What the names on the broker begin with. */
  rabbitPrefix: string;
  resultsUrl: string;
  /** Agent name to queue URL. */
  agentQueues: Record<string, string>;
  /** Queues whose names begin so are agents' too, found while it runs: what follows is the agent's name. */
  queuePrefix: string | undefined;
  /** Of the health endpoint; 0 is any free one. */
  port: number;
  host: string;
  /** How long a message that was taken from SQS stays invisible; it is prolonged while needed. */
  visibilitySeconds: number;
  /** How long one call waits for messages. A stopping bridge waits for its last one. */
  pollSeconds: number;
  /** Messages of one queue in hand at once, each way. */
  inHand: number;
  graceSeconds: number;
};

/** Reads the bridge's environment. Throws a ConfigError that names every variable that is wrong. */
export function readBridgeEnv(source?: NodeJS.ProcessEnv): BridgeSettings {
  const env = readEnv(
    z.object({
      RABBITMQ_URL: z
        .url({ protocol: /^amqps?$/, ...must("be the broker's URL, such as amqp://user:password@host:5672") })
        .default("amqp://guest:guest@127.0.0.1:5672"),
      RABBITMQ_PREFIX: z.string().max(100).default(""),
      RESULTS_QUEUE_URL: z.url(must("be the URL of the results queue")),
      AGENT_QUEUES: JsonMap.prefault("{}"),
      BRIDGE_QUEUE_PREFIX: z.string().optional(),
      BRIDGE_PORT: integer(0, 65_535, 9326),
      BRIDGE_HOST: z.string().default("127.0.0.1"),
      BRIDGE_VISIBILITY_SECONDS: integer(2, 43_200, 30),
      BRIDGE_POLL_SECONDS: integer(1, 20, 2),
      BRIDGE_IN_HAND: integer(10, 10_000, 100),
      BRIDGE_GRACE_SECONDS: integer(0, 3600, 8),
    }),
    source,
  );
  return {
    rabbitUrl: env.RABBITMQ_URL,
    rabbitPrefix: env.RABBITMQ_PREFIX,
    resultsUrl: env.RESULTS_QUEUE_URL,
    agentQueues: env.AGENT_QUEUES,
    queuePrefix: env.BRIDGE_QUEUE_PREFIX,
    port: env.BRIDGE_PORT,
    host: env.BRIDGE_HOST,
    visibilitySeconds: env.BRIDGE_VISIBILITY_SECONDS,
    pollSeconds: env.BRIDGE_POLL_SECONDS,
    inHand: env.BRIDGE_IN_HAND,
    graceSeconds: env.BRIDGE_GRACE_SECONDS,
  };
}
