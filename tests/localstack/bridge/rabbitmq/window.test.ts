import { type Channel, type ChannelModel, type ConsumeMessage, connect } from "amqplib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { condition } from "../../../../localstack/bridge/flow/signals.ts";
import { openWindow } from "../../../../localstack/bridge/rabbitmq/window.ts";
import { type Broker, findBroker, prefix } from "../../../support/queues/rabbitmq.ts";

const found = await findBroker();
const MEBIBYTE = 1_048_576;
const SMALL = 100;
const QUORUM = { durable: true, arguments: { "x-queue-type": "quorum" } };

describe.skipIf(found === undefined)("the window of a consumer", () => {
  let queue: string;
  let broker: Broker;
  let rabbit: ChannelModel;
  let channel: Channel;
  const unacked: ConsumeMessage[] = [];
  let cancelled = 0;
  const changes = condition();
  const ends = {
    take: (message: ConsumeMessage) => void unacked.push(message),
    drained: async () => await changes.until(() => unacked.length === 0, new AbortController().signal),
    gone: () => void cancelled++,
  };

  beforeAll(async () => {
    broker = (await found?.()) as Broker;
    rabbit = await connect(broker.url);
  });
  beforeEach(async () => {
    channel = await rabbit.createChannel();
    queue = prefix();
    cancelled = 0;
    await channel.assertQueue(queue, QUORUM);
  });
  afterEach(async () => {
    await channel.close();
    const other = await rabbit.createChannel();
    await other.deleteQueue(queue);
    await other.close();
    unacked.length = 0;
  });
  afterAll(async () => {
    await rabbit.close();
    await broker.stop();
  });

  const fill = async (bytes: number, count: number) => {
    const body = Buffer.alloc(bytes);
    const publishing = await rabbit.createConfirmChannel();
    for (let i = 0; i < count; i++) publishing.sendToQueue(queue, body);
    await publishing.waitForConfirms();
    await publishing.close();
  };
  /** Waits for so many unacked messages, and answers how many there are when the broker has sent all that it would. */
  const inHand = async (count: number) => {
    await vi.waitUntil(() => unacked.length >= count, { timeout: 10_000, interval: 5 });
    await channel.checkQueue(queue);
    return unacked.length;
  };
  const ack = () => {
    for (const message of unacked.splice(0)) channel.ack(message);
    changes.changed();
  };

  test.each([
    { of: "small messages", bytes: SMALL, most: 100, sizes: [1, 2, 4, 8, 16, 32, 64, 100, 100] },
    { of: "1 MiB each", bytes: MEBIBYTE, most: 100, sizes: [1, 2, 4, 8, 16, 16, 16] },
    { of: "few at most", bytes: SMALL, most: 10, sizes: [1, 2, 4, 8, 10, 10] },
  ])("grows with $of to what fits: $sizes", async ({ bytes, most, sizes }) => {
    await fill(bytes, sizes.reduce((sum, size) => sum + size, 0) + 20);
    await openWindow(channel, queue, most, ends);

    for (const size of sizes) {
      expect(await inHand(size)).toBe(size);
      ack();
    }
  });

  test("shrinks when messages become large, and grows again", async () => {
    const grow = [1, 2, 4, 8, 16, 32, 64];
    await fill(SMALL, 127);
    await fill(MEBIBYTE, 80 + 16);
    await fill(SMALL, 16 + 100);
    await openWindow(channel, queue, 80, ends);

    for (const size of [...grow, 80, 16, 16, 32, 64]) {
      expect(await inHand(size)).toBe(size);
      ack();
    }
  });

  test("tells when the queue was deleted and declared anew at once, though it has grown", async () => {
    const other = await rabbit.createChannel();
    await fill(SMALL, 7);
    await openWindow(channel, queue, 4, ends);
    for (const size of [1, 2, 4]) {
      await inHand(size);
      ack();
    }

    await other.deleteQueue(queue);
    await other.assertQueue(queue, QUORUM);
    await other.close();

    await vi.waitUntil(() => cancelled > 0);
    expect(cancelled).toBe(1);
  });

  test("gives nothing more once it is closed, though it was about to grow", async () => {
    await fill(SMALL, 10);
    const window = await openWindow(channel, queue, 100, ends);
    await inHand(1);

    await window.close();
    ack();

    const { messageCount, consumerCount } = await channel.checkQueue(queue);
    expect({ messageCount, consumerCount, unacked: unacked.length }).toEqual({
      messageCount: 9,
      consumerCount: 0,
      unacked: 0,
    });
  });
});
