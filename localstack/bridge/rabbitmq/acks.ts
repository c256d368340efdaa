import type { Channel, ConsumeMessage } from "amqplib";
import { gatherWrites } from "./gather-writes.ts";

/** A message of the broker in hand. `open` are the tags of all that its channel has delivered and that is not acked, in order. */
export type Lent = { channel: Channel; message: ConsumeMessage; open: Set<number> };

/** Acks them: by one frame all before which nothing is open, which spares both sides much work; the others one by one. */
export function acknowledge(done: Lent[]): void {
  for (const { open, message } of done) open.delete(message.fields.deliveryTag);
  for (const [channel, lents] of Map.groupBy(done, (lent) => lent.channel)) {
    const isFirst = ({ open, message }: Lent) => message.fields.deliveryTag < (open.values().next().value ?? Infinity);
    const last = lents
      .filter(isFirst)
      .toSorted((a, b) => a.message.fields.deliveryTag - b.message.fields.deliveryTag)
      .at(-1);
    try {
      gatherWrites(channel);
      if (last !== undefined) channel.ack(last.message, true);
      for (const lent of lents) if (!isFirst(lent)) channel.ack(lent.message);
    } catch {
      // The channel is closing: they come again.
    }
  }
}
