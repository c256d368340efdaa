import { setTimeout as sleep } from "node:timers/promises";
import type { Channel, ConfirmChannel } from "amqplib";
import { publisherOver } from "../../lib/agent-kit/transports/amqp-publisher.ts";
import { declareTopology, topology } from "../../lib/agent-kit/transports/amqp-topology.ts";
import { AgentName } from "../../lib/protocol/fields.ts";
import { log } from "../../lib/runtime/log.ts";
import { KeptConnection, outletOf } from "./broker.ts";
import { type Counters, counters } from "./counters.ts";
import { serveHealth } from "./health.ts";
import { inbound } from "./inbound.ts";
import { startOutbound } from "./outbound.ts";
import { burial } from "./poison.ts";
import type { BridgeSettings } from "./settings.ts";
import { backOff } from "./signals.ts";
import { checkQueue, listQueues, sqsQueue } from "./sqs-queue.ts";

export type Bridge = {
  /** Of its own endpoint, which has /health and /counters. */
  url: string;
  counters: Record<"out" | "in", Counters>;
  /** Whose messages it carries now. */
  agents: () => string[];
  /** Takes nothing more, finishes what is in hand, gives back what it cannot finish in time. */
  stop: () => Promise<void>;
};

const LOOK_MS = 10_000;
const HEALTH_MS = 2000;

/**
 * Moves messages both ways between SQS and RabbitMQ until it is stopped. Neither has to be there: it waits for either for ever.
 * Every message arrives at least once: it is removed from one side only when the other has accepted it.
 */
export async function startBridge(settings: BridgeSettings): Promise<Bridge> {
  const { rabbitUrl: url, rabbitPrefix, visibilitySeconds, pollSeconds, inHand } = settings;
  const names = topology(rabbitPrefix);
  const stop = new AbortController();
  const end = new AbortController();
  const signals = { stopping: stop.signal, over: end.signal };
  const agents = new Map<string, Promise<void>>();
  const both = { out: counters(), in: counters() };

  // Two connections: a broker that is short of memory stops reading from one that publishes, and acks must not wait for that.
  const outgoing = new KeptConnection<ConfirmChannel>({
    url,
    name: "waybill bridge: publishes",
    create: (connection) => connection.createConfirmChannel(),
    prepare: async (_, connection) => void (await declareTopology(connection, [...agents.keys()], rabbitPrefix)),
  });
  const publish = publisherOver(outletOf(outgoing));
  const bury = burial(publish, names, signals);
  const results = sqsQueue(settings.resultsUrl, visibilitySeconds);
  const into = inbound({ queue: results, names, bury, counters: both.in, signals, renew: () => incoming.renew() });
  const incoming = new KeptConnection<Channel>({
    url,
    name: "waybill bridge: consumes",
    create: (connection) => connection.createChannel(),
    prepare: async (channel, connection) => {
      await declareTopology(connection, [], rabbitPrefix);
      if (!signals.stopping.aborted) await into.consume(channel, inHand);
    },
    onLost: into.onLost,
  });

  const ready = (signal: AbortSignal) => outgoing.ready(signal);
  const add = async (agent: string, queueUrl: string, found: boolean) => {
    if (agents.has(agent) || !AgentName.safeParse(agent).success) return;
    const queue = sqsQueue(queueUrl, visibilitySeconds);
    const limits = { visibilitySeconds, pollSeconds, inHand, found };
    const parts = { agent, queue, ready, publish, names, bury, counters: both.out, signals, ...limits };
    const carried = startOutbound(parts).finally(() => {
      if (stop.signal.aborted) return;
      agents.delete(agent);
      log.info("agent gone", { agent, queue: queueUrl });
    });
    agents.set(agent, carried);
    const connection = outgoing.opened()?.connection;
    // Where this fails, the first message finds no queue, and then all is declared anew.
    if (connection !== undefined) await declareTopology(connection, [agent], rabbitPrefix).catch(() => {});
    log.info("agent bridged", { agent, queue: queueUrl });
  };
  const discover = async (prefix: string) => {
    for (let failures = 0; !stop.signal.aborted; ) {
      try {
        for (const [agent, queueUrl] of Object.entries(await listQueues(prefix))) await add(agent, queueUrl, true);
        failures = 0;
        await sleep(LOOK_MS, undefined, { signal: stop.signal }).catch(() => {});
      } catch (error) {
        if (failures === 0) log.warn("queues not listed", { prefix, error });
        await backOff(failures++, stop.signal);
      }
    }
  };
  for (const [agent, queueUrl] of Object.entries(settings.agentQueues)) void add(agent, queueUrl, false);
  const discovering = settings.queuePrefix === undefined ? undefined : discover(settings.queuePrefix);

  const health = await serveHealth(
    settings.port,
    settings.host,
    () => ({ agents: [...agents.keys()], ...both }),
    async () => ({
      rabbitmq_publish: outgoing.trouble() ?? "ok",
      rabbitmq_consume: incoming.trouble() ?? "ok",
      sqs: await checkQueue(settings.resultsUrl, HEALTH_MS).then(
        () => "ok",
        (error: Error) => `${error.name}: ${error.message}`,
      ),
    }),
  );
  return {
    url: health.url,
    counters: both,
    agents: () => [...agents.keys()],
    stop: async () => {
      stop.abort();
      const grace = setTimeout(() => end.abort(), settings.graceSeconds * 1000);
      await Promise.all([discovering, into.stop(), ...agents.values()]);
      clearTimeout(grace);
      end.abort();
      await Promise.all([incoming.close(), outgoing.close(), health.close()]);
    },
  };
}
