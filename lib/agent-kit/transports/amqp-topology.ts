import type { Channel, ChannelModel, Options } from "amqplib";

// AMQP through amqplib 2.3, here, in the bridge and in the agent kit. Why not rabbitmq-client 5: it parses a body by its
// content type (JSON becomes an object, text a string), so that the bytes that were sent are gone before we see them; and
// amqplib reconnects by itself since 1.1, has types of its own and needs no other package.

/** The names of what messages pass through on a broker. With a prefix, several of them share one broker. */
export type Topology = {
  /** Requests to agents: a topic exchange, the routing key is the agent's name. */
  work: string;
  /** What agents say: publish here, with any routing key. */
  results: string;
  /** What one process of an agent has no use for and another may have: a direct exchange, the routing key is the agent's name. */
  passed: string;
  /** Dead letters: a direct exchange, the routing key is the name of the queue that they come from. */
  deadLetters: string;
  /** What agents say, until the bridge has brought it to SQS. */
  resultsQueue: string;
  /** What an agent is to do. */
  agentQueue: (agent: string) => string;
  /** Where the dead letters of a queue end. */
  deadLetterQueue: (queue: string) => string;
};

/** The names, each with `prefix` before it. */
export function topology(prefix = ""): Topology {
  return {
    work: `${prefix}waybill.work`,
    results: `${prefix}waybill.results`,
    passed: `${prefix}waybill.passed`,
    deadLetters: `${prefix}waybill.dlx`,
    resultsQueue: `${prefix}results`,
    agentQueue: (agent) => `${prefix}agent.${agent}`,
    deadLetterQueue: (queue) => `${queue}.dlq`,
  };
}

/** How often an agent may be given one message, as serverless.yml says for its SQS queue; a test compares. */
export const MAX_RECEIVE_COUNT = 5;

/** How long a dead letter is kept, as serverless.yml says for SQS; a test compares. */
export const DEAD_LETTER_SECONDS = 1_209_600;

/**
 * Only the bridge reads `results`, and a message that it has in hand when it is killed is no worse for it: nothing may become
 * a dead letter by that. RabbitMQ 4 would count to 20 where nothing is said. What can never be delivered the bridge itself buries.
 */
const NO_LIMIT = 1_000_000_000;

/** Makes exchanges, queues and bindings where they are missing. Throws, saying what to do, where one exists otherwise. */
export async function declareTopology(
  connection: Pick<ChannelModel, "createChannel">,
  agents: string[],
  prefix = "",
): Promise<Topology> {
  const names = topology(prefix);
  await onChannel(connection, async (channel) => {
    await channel.assertExchange(names.work, "topic", { durable: true });
    await channel.assertExchange(names.results, "topic", { durable: true });
    await channel.assertExchange(names.passed, "direct", { durable: true });
    await channel.assertExchange(names.deadLetters, "direct", { durable: true });
    await declareQueue(channel, names, names.resultsQueue);
    await channel.bindQueue(names.resultsQueue, names.results, "#");
    for (const agent of agents) {
      const queue = names.agentQueue(agent);
      await declareQueue(channel, names, queue);
      await channel.bindQueue(queue, names.work, agent);
    }
  });
  return names;
}

/** Removes all of it with every message that is on it. What is not there is no fault. */
export async function deleteTopology(
  connection: Pick<ChannelModel, "createChannel">,
  agents: string[],
  prefix: string,
): Promise<void> {
  const names = topology(prefix);
  await onChannel(connection, async (channel) => {
    for (const queue of [names.resultsQueue, ...agents.map(names.agentQueue)]) {
      await channel.deleteQueue(queue);
      await channel.deleteQueue(names.deadLetterQueue(queue));
    }
    const { work, results, passed, deadLetters } = names;
    for (const exchange of [work, results, passed, deadLetters]) await channel.deleteExchange(exchange);
  });
}

/** What an agent's queue, or that of the results, is declared with: a quorum queue with dead letters. */
export function queueOptions(names: Topology, queue: string): Options.AssertQueue {
  return {
    durable: true,
    arguments: {
      "x-queue-type": "quorum",
      // A message is dropped when it has come back more often than the limit: 4 times back is 5 deliveries.
      "x-delivery-limit": queue === names.resultsQueue ? NO_LIMIT : MAX_RECEIVE_COUNT - 1,
      // Without these two a quorum queue may lose a message on its way to the dead letters.
      "x-dead-letter-strategy": "at-least-once",
      "x-overflow": "reject-publish",
    },
    deadLetterExchange: names.deadLetters,
    deadLetterRoutingKey: queue,
  };
}

/** The queue, and another one for its dead letters. */
async function declareQueue(channel: Channel, names: Topology, queue: string): Promise<void> {
  const buried = names.deadLetterQueue(queue);
  await assertQueue(channel, buried, {
    durable: true,
    arguments: { "x-queue-type": "quorum" },
    messageTtl: DEAD_LETTER_SECONDS * 1000,
  });
  await channel.bindQueue(buried, names.deadLetters, queue);
  await assertQueue(channel, queue, queueOptions(names, queue));
}

async function assertQueue(channel: Channel, queue: string, options: Options.AssertQueue): Promise<void> {
  try {
    await channel.assertQueue(queue, options);
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 406) throw cause;
    throw new Error(
      `RabbitMQ has a queue ${queue} that was made with other arguments than Waybill's: ${(cause as Error).message}\n` +
        `Take what is on it, then remove it: rabbitmqctl delete_queue ${queue}`,
      { cause },
    );
  }
}

async function onChannel(
  connection: Pick<ChannelModel, "createChannel">,
  run: (channel: Channel) => Promise<void>,
): Promise<void> {
  const channel = await connection.createChannel();
  // The call that failed rejects with the same error; without a listener it would end the process as well.
  channel.on("error", () => {});
  let closed = false;
  channel.on("close", () => (closed = true));
  try {
    await run(channel);
  } finally {
    if (!closed) await channel.close();
  }
}
