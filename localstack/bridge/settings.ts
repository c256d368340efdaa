import * as z from "zod";
import { brokerPrefix } from "../../lib/agent-kit/transports/env.ts";
import { must } from "../../lib/input/faults.ts";
import { whole } from "../../lib/input/whole.ts";
import { JsonMap } from "../../lib/runtime/aws/queue-settings.ts";
import { readSettings, setting, type Values } from "../../lib/runtime/settings.ts";

/** The variables that the bridge reads. */
export const bridgeSettings = {
  rabbitUrl: setting({
    env: "RABBITMQ_URL",
    says: "The broker.",
    takes: z.url({ protocol: /^amqps?$/, ...must("be the broker's URL, such as amqp://user:password@host:5672") }),
    default: "amqp://guest:guest@127.0.0.1:5672",
  }),
  rabbitPrefix: setting({
    env: "RABBITMQ_PREFIX",
    says: "What the names on the broker begin with.",
    takes: brokerPrefix,
    default: "",
  }),
  resultsUrl: setting({
    env: "RESULTS_QUEUE_URL",
    says: "The queue of SQS that what agents say is brought to.",
    takes: z.url({ protocol: /^https?$/, ...must("be the URL of the results queue") }),
  }),
  agentQueues: setting({
    env: "AGENT_QUEUES",
    says: "The queues of SQS whose messages are brought to agents, as JSON: agent name to queue URL.",
    takes: JsonMap,
    default: "{}",
    example: '{"code":"https://…/waybill-agent-code"}',
  }),
  queuePrefix: setting({
    env: "BRIDGE_QUEUE_PREFIX",
    says: "Queues whose names begin so are agents' as well, found while the bridge runs; what follows is the agent's name.",
    takes: z.string(),
    optional: true,
    example: "waybill-agent-",
  }),
  host: setting({
    env: "BRIDGE_HOST",
    says: "The address on which the bridge has /health and /counters.",
    takes: z.string(),
    default: "127.0.0.1",
  }),
  port: setting({
    env: "BRIDGE_PORT",
    says: "The port of the bridge's /health and /counters; 0, as npm start says, is any free one.",
    takes: whole(0, 65_535),
    default: "9326",
  }),
  visibilitySeconds: setting({
    env: "BRIDGE_VISIBILITY_SECONDS",
    says: "How long a message that the bridge has taken from SQS stays invisible; it is prolonged while needed.",
    unit: "seconds",
    takes: whole(2, 43_200),
    default: "30",
  }),
  pollSeconds: setting({
    env: "BRIDGE_POLL_SECONDS",
    says: "How long one call waits for messages. A stopping bridge waits for its last one; npm start says 1.",
    unit: "seconds",
    takes: whole(1, 20),
    default: "2",
  }),
  inHand: setting({
    env: "BRIDGE_IN_HAND",
    says: "Messages of one queue in hand at once, each way.",
    unit: "messages",
    takes: whole(10, 10_000),
    default: "100",
  }),
  graceSeconds: setting({
    env: "BRIDGE_GRACE_SECONDS",
    says: "How long a stopping bridge may finish what it has in hand, before it gives the rest back; npm start says 2.",
    unit: "seconds",
    takes: whole(0, 3600),
    default: "8",
  }),
};

/** What the bridge is told by its environment. */
export type BridgeSettings = Values<typeof bridgeSettings>;

/** Reads the bridge's environment. Throws a ConfigError that names every variable that is wrong. */
export function readBridgeEnv(source?: NodeJS.ProcessEnv): BridgeSettings {
  return readSettings(bridgeSettings, source);
}
