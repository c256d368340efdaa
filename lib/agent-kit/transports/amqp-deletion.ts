import type { Channel } from "amqplib";

/** As much as AMQP can say, so that it never holds a message back. */
const MOST = 65_535;

/**
 * Starts consumers of quorum queues that RabbitMQ cancels, and so tells them, when their queue is deleted, though somebody
 * declares it anew at once. Every consumer of the channel is to be started by this.
 *
 * Before version 4 (seen on 3.10.8) RabbitMQ tries to consume again by itself. Where that succeeds, it tells nobody and loses
 * what the new queue gives to the channel. A quorum queue refuses a channel with a common prefetch, so the attempt fails. From 4
 * on, as its source says, RabbitMQ always cancels; 4.3 refuses such a prefetch.
 */
export async function cancelledOnDeletion<T>(channel: Channel, consume: () => Promise<T>): Promise<T> {
  const silent = Number.parseInt(channel.connection.serverProperties.version) < 4;
  if (silent) await channel.prefetch(0, true);
  const started = await consume();
  if (silent) await channel.prefetch(MOST, true);
  return started;
}
