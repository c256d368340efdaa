import { connect } from "amqplib";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  DEAD_LETTER_SECONDS,
  declareTopology,
  deleteTopology,
  MAX_RECEIVE_COUNT,
  topology,
} from "../../../lib/agent-kit/transports/amqp-topology.ts";
import { AGENTS, queuesOf } from "../../../localstack/parts/queues.ts";
import { type Broker, findBroker, prefix } from "../../support/queues/rabbitmq.ts";

test("mirrors what serverless.yml says of the SQS queues", () => {
  const agents = queuesOf().filter(({ name }) => AGENTS.some((agent) => name.endsWith(`-agent-${agent}`)));

  expect(agents).toHaveLength(AGENTS.length);
  for (const queue of agents) {
    expect(queue.maxReceiveCount).toBe(MAX_RECEIVE_COUNT);
    expect(queue.deadLetters.attributes["MessageRetentionPeriod"]).toBe(String(DEAD_LETTER_SECONDS));
  }
});

const found = await findBroker();

describe.skipIf(found === undefined)("on a broker", () => {
  const names = topology(prefix());
  const before = names.work.slice(0, -"waybill.work".length);
  let broker: Broker;
  let connection: Awaited<ReturnType<typeof connect>>;

  beforeAll(async () => {
    broker = (await found?.()) as Broker;
    connection = await connect(broker.url);
  });
  afterAll(async () => {
    await deleteTopology(connection, ["code"], before);
    await connection.close();
    await broker.stop();
  });

  test("is made once however often it is declared", async () => {
    await declareTopology(connection, ["code"], before);
    await declareTopology(connection, ["code"], before);

    const channel = await connection.createChannel();
    await expect(channel.checkQueue(names.agentQueue("code"))).resolves.toMatchObject({ messageCount: 0 });
    await channel.close();
  });

  test("gives an agent a message as often as SQS does, and then buries it whole", async () => {
    await declareTopology(connection, ["code"], before);
    const channel = await connection.createConfirmChannel();
    const queue = names.agentQueue("code");
    channel.publish(names.work, "code", Buffer.from("ünfinished"), { mandatory: true, messageId: "one" });
    await channel.waitForConfirms();
    let deliveries = 0;
    const { consumerTag } = await channel.consume(queue, (message) => {
      if (message === null) return;
      deliveries++;
      channel.nack(message, false, true);
    });

    const buried = await vi.waitUntil(async () => await channel.get(names.deadLetterQueue(queue), { noAck: true }), {
      timeout: 10_000,
    });

    expect(deliveries).toBe(MAX_RECEIVE_COUNT);
    expect(buried).toMatchObject({ content: Buffer.from("ünfinished"), properties: { messageId: "one" } });
    await channel.cancel(consumerTag);
    await channel.close();
  });

  test("says what to do where a queue was made otherwise", async () => {
    const other = await connection.createChannel();
    const queue = `${before}agent.taken`;
    await other.assertQueue(queue, { durable: true });

    await expect(declareTopology(connection, ["taken"], before)).rejects.toThrow(
      new RegExp(`${queue} that was made with other arguments.*rabbitmqctl delete_queue`, "s"),
    );

    await other.deleteQueue(queue);
    await other.deleteQueue(names.deadLetterQueue(queue));
    await other.close();
  });
});
