import { randomUUID } from "node:crypto";
import type { Channel, ConsumeMessage } from "amqplib";
import { cancelledOnDeletion } from "../../lib/agent-kit/transports/amqp-deletion.ts";
import { MOST_BYTES } from "./settings.ts";

/** What comes over one channel from one queue. */
export type Window = {
  /** Takes nothing more. Rejects where the channel is lost. */
  close: () => Promise<void>;
};

type Ends = {
  take: (message: ConsumeMessage) => void;
  /** Answers when everything that came is acked, but for poison. */
  drained: () => Promise<void>;
  /** Is told when the broker has ended it, as it does when the queue is deleted. */
  gone: () => void;
};

/**
 * Consumes from a queue of the broker, with as many messages unacked as fit into 16 MiB by the size of the last ones, and no
 * more than `most`. The broker counts messages and not bytes, and sends all at once: so it begins with one, and doubles while
 * they are small.
 */
export async function openWindow(
  channel: Channel,
  queue: string,
  most: number,
  { take, drained, gone }: Ends,
): Promise<Window> {
  let size = 1;
  let came = 0;
  let bytes = 0;
  let consumerTag = "";
  let changing = false;
  let change = Promise.resolve();
  let closed = false;
  const closing = Promise.withResolvers<void>();

  const consume = async () => {
    consumerTag = randomUUID();
    await cancelledOnDeletion(channel, async () => {
      // It counts for consumers that come after it.
      await channel.prefetch(size);
      await channel.consume(queue, receive, { consumerTag });
    });
  };
  const receive = (message: ConsumeMessage | null) => {
    if (message === null) return gone();
    came++;
    bytes += message.content.length;
    take(message);
    if (came >= size && !changing) change = adapt();
  };
  const adapt = async (): Promise<void> => {
    changing = true;
    try {
      await resize();
    } catch {
      // The channel is lost; on the next one it begins anew.
      return;
    }
    changing = false;
    if (came >= size) await adapt();
  };
  const resize = async () => {
    const fitting = Math.floor((MOST_BYTES * came) / Math.max(bytes, 1));
    const next = Math.max(1, Math.min(fitting, size * 2, most));
    came = bytes = 0;
    if (Math.abs(next - size) < size / 4) return;
    size = next;
    await channel.cancel(consumerTag);
    // What is unacked does not count for the next consumer.
    await Promise.race([drained(), closing.promise]);
    if (!closed) await consume();
  };
  await consume();
  return {
    close: async () => {
      closed = true;
      closing.resolve();
      // A consumer that is being started cannot be cancelled yet.
      await change;
      await channel.cancel(consumerTag);
    },
  };
}
