import { type ChannelModel, type ConfirmChannel, connect, type GetMessage } from "amqplib";
import { afterAll, beforeAll } from "vitest";
import { declareTopology, deleteTopology, topology } from "../../../lib/agent-kit/transports/amqp-topology.ts";
import { until } from "../agents/agent.ts";
import { type Broker, prefix, remakeQueue } from "./rabbitmq.ts";
import type { TestQueues } from "./sqs.ts";

export type AmqpQueues = TestQueues & {
  /** What the names on the broker begin with. */
  prefix: string;
  /** How many messages an agent's queue holds once nobody listens any more: those of the last who did are back by then. */
  left: (agent: string) => Promise<number>;
  /** How many consumers an agent's queue has: two for each agent process. */
  listeners: (agent: string) => Promise<number>;
  /** Deletes an agent's queue, as somebody may on a broker. */
  remove: (agent: string) => Promise<void>;
  /** The same, and declares it anew at once. */
  remake: (agent: string) => Promise<void>;
  /** Connects the test again, after its broker was away. */
  connect: () => Promise<void>;
};

const AGENTS = ["research", "code"];

/** Queues on a broker, under names of their own: made before the tests of this block and removed after them. */
export function amqpQueues(open: (() => Promise<Broker>) | undefined): AmqpQueues {
  const own = prefix();
  const names = topology(own);
  let broker: Broker;
  let connection: ChannelModel;
  let channel: ConfirmChannel;
  let taken: GetMessage[] = [];
  const listening = new Set<(body: string) => void>();
  const consume = async (tell: (body: string) => void) =>
    await channel.consume(names.resultsQueue, (message) => {
      if (message === null) return;
      tell(message.content.toString());
      channel.ack(message);
    });
  const connectAgain = async () => {
    connection = await connect(broker.url);
    // The broker of a test may be killed; what fails by that says so itself.
    connection.on("error", () => {});
    channel = await connection.createConfirmChannel();
    channel.on("error", () => {});
    await declareTopology(connection, AGENTS, own);
    for (const tell of listening) await consume(tell);
  };
  beforeAll(async () => {
    if (open === undefined) throw new Error("There is no broker: this block should have been skipped.");
    broker = await open();
    await connectAgain();
  });
  afterAll(async () => {
    await deleteTopology(connection, AGENTS, own);
    await connection.close();
    await broker.stop();
  });
  const take = async (queue: string) => (await channel.get(queue)) || undefined;
  const left = async (agent: string) =>
    await until("no agent listens", async () => {
      const { consumerCount, messageCount } = await channel.checkQueue(names.agentQueue(agent));
      return consumerCount === 0 && messageCount;
    });
  return {
    prefix: own,
    address: () => withPort(broker.url),
    env: (_, address) => ({
      AGENT_TRANSPORT: "amqp",
      RABBITMQ_URL: address ?? broker.url,
      RABBITMQ_PREFIX: own,
    }),
    put: async (agent, body) => {
      channel.publish(names.work, agent, Buffer.from(body), { persistent: true });
      await channel.waitForConfirms();
    },
    counts: async (agent) => ({
      visible: (await channel.checkQueue(names.agentQueue(agent))).messageCount,
      lent: undefined,
    }),
    take: async (agent) => {
      const message = await take(names.agentQueue(agent));
      if (message !== undefined) taken.push(message);
      return message?.content.toString();
    },
    empty: async (agent) => {
      for (const message of taken) channel.ack(message);
      taken = [];
      await left(agent);
      await channel.purgeQueue(names.agentQueue(agent));
    },
    left,
    listeners: async (agent) => (await channel.checkQueue(names.agentQueue(agent))).consumerCount,
    remove: async (agent) => void (await channel.deleteQueue(names.agentQueue(agent))),
    remake: async (agent) => {
      await remakeQueue(connection, names, names.agentQueue(agent));
      await declareTopology(connection, [agent], own);
    },
    connect: connectAgain,
    deadLetters: async (agent) => {
      const message = await take(names.deadLetterQueue(names.agentQueue(agent)));
      if (message === undefined) return [];
      channel.ack(message);
      return [message.content.toString()];
    },
    hear: async (tell, signal) => {
      listening.add(tell);
      await consume(tell);
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    },
  };
}

function withPort(url: string): string {
  const address = new URL(url);
  address.port ||= "5672";
  return address.href;
}
