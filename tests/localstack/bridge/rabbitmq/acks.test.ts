import { PassThrough } from "node:stream";
import type { Channel, ConsumeMessage } from "amqplib";
import { expect, test } from "vitest";
import { acknowledge, type Lent } from "../../../../localstack/bridge/rabbitmq/acks.ts";

/** A channel that writes down its acks, with `count` messages delivered. */
function delivered(count: number) {
  const acks: string[] = [];
  const channel = {
    connection: { stream: new PassThrough() },
    ack: ({ fields }: ConsumeMessage, upTo = false) => acks.push(`${upTo ? "up to " : ""}${fields.deliveryTag}`),
  } as unknown as Channel;
  const open = new Set<number>();
  const lents = Array.from({ length: count }, (_, i): Lent => {
    open.add(i + 1);
    return { channel, open, message: { fields: { deliveryTag: i + 1 } } as ConsumeMessage };
  });
  const of = (...tags: number[]) => tags.flatMap((tag) => lents[tag - 1] ?? []);
  return { acks, open, of };
}

test("what is behind no open message is acked by one frame, in whatever order it is done", () => {
  const { acks, of, open } = delivered(5);

  acknowledge(of(3, 1, 2));
  acknowledge(of(5, 4));

  expect(acks).toEqual(["up to 3", "up to 5"]);
  expect(open.size).toBe(0);
});

test("never acks an open message: what comes after one is acked alone", () => {
  const { acks, of } = delivered(6);

  acknowledge(of(1, 3, 4));
  acknowledge(of(2));
  acknowledge(of(6));

  expect(acks).toEqual(["up to 1", "3", "4", "up to 2", "6"]);
});
