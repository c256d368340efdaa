import type { Channel, ConfirmChannel } from "amqplib";
import { publisherOver } from "../../lib/agent-kit/transports/amqp-publisher.ts";
import { declareTopology, topology } from "../../lib/agent-kit/transports/amqp-topology.ts";
import { CarriedAgents } from "./carried-agents.ts";
import { type Counters, counters } from "./flow/counters.ts";
import type { Signals } from "./flow/signals.ts";
import { serveHealth } from "./health.ts";
import { Inbound } from "./inbound.ts";
import { burial } from "./poison.ts";
import { KeptConnection, outletOf } from "./rabbitmq/kept-connection.ts";
import type { BridgeSettings } from "./settings.ts";
import { checkQueue, sqsQueue } from "./sqs/queue.ts";

/** A bridge that runs. */
export type Bridge = {
  /** Of its own endpoint, which has /health and /counters. */
  url: string;
  counters: Record<"out" | "in", Counters>;
  /** Whose messages it carries now. */
  agents: () => string[];
  /** Takes nothing more, finishes what is in hand, gives back what it cannot finish in time. */
  stop: () => Promise<void>;
};

const HEALTH_MS = 2000;

/**
 * Moves messages both ways between SQS and RabbitMQ until it is stopped. Neither has to be there: it waits for either for ever.
 * Every message arrives at least once: it is removed from one side only when the other has accepted it.
 */
export async function startBridge(settings: BridgeSettings): Promise<Bridge> {
  const { resultsUrl, visibilitySeconds } = settings;
  const names = topology(settings.rabbitPrefix);
  const stop = new AbortController();
  const end = new AbortController();
  const signals = { stopping: stop.signal, over: end.signal };
  const both = { out: counters(), in: counters() };

  // Two connections: a broker that is short of memory stops reading from one that publishes, and acks must not wait for that.
  const outgoing = openOutgoing(settings, () => agents.names());
  const publish = publisherOver(outletOf(outgoing));
  const bury = burial(publish, names, signals);
  const agents = new CarriedAgents({ settings, outgoing, publish, names, bury, counters: both.out, signals });

  const queue = sqsQueue(resultsUrl, visibilitySeconds);
  const results = new Inbound({ queue, names, bury, counters: both.in, signals, renew: () => incoming.renew() });
  const incoming = openIncoming(settings, results, signals);

  for (const [agent, queueUrl] of Object.entries(settings.agentQueues)) void agents.add(agent, queueUrl, false);
  const discovering = settings.queuePrefix === undefined ? undefined : agents.discover(settings.queuePrefix);
  const health = await serveHealth(
    settings.port,
    settings.host,
    () => ({ agents: agents.names(), ...both }),
    async () => ({
      rabbitmq_publish: outgoing.trouble() ?? "ok",
      rabbitmq_consume: incoming.trouble() ?? "ok",
      sqs: await healthOf(resultsUrl),
    }),
  );
  return {
    url: health.url,
    counters: both,
    agents: () => agents.names(),
    stop: async () => {
      stop.abort();
      const grace = setTimeout(() => end.abort(), settings.graceSeconds * 1000);
      await Promise.all([discovering, results.stop(), agents.ended()]);
      clearTimeout(grace);
      end.abort();
      await Promise.all([incoming.close(), outgoing.close(), health.close()]);
    },
  };
}

/** The connection that publishes. Whenever it is opened, the queues of these agents are declared. */
function openOutgoing(
  { rabbitUrl, rabbitPrefix }: BridgeSettings,
  agents: () => string[],
): KeptConnection<ConfirmChannel> {
  return new KeptConnection<ConfirmChannel>({
    url: rabbitUrl,
    name: "waybill bridge: publishes",
    create: (connection) => connection.createConfirmChannel(),
    prepare: async (_, connection) => void (await declareTopology(connection, agents(), rabbitPrefix)),
  });
}

/** The connection that consumes what agents say, whenever it is opened, until the bridge is to stop. */
function openIncoming(
  { rabbitUrl, rabbitPrefix, inHand }: BridgeSettings,
  results: Inbound,
  { stopping }: Signals,
): KeptConnection<Channel> {
  return new KeptConnection<Channel>({
    url: rabbitUrl,
    name: "waybill bridge: consumes",
    create: (connection) => connection.createChannel(),
    prepare: async (channel, connection) => {
      await declareTopology(connection, [], rabbitPrefix);
      if (!stopping.aborted) await results.consume(channel, inHand);
    },
    onLost: (channel) => results.lose(channel),
  });
}

async function healthOf(queueUrl: string): Promise<string> {
  try {
    await checkQueue(queueUrl, HEALTH_MS);
    return "ok";
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
}
