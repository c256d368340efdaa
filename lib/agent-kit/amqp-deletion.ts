import type { Channel } from "amqplib";

/** As much as AMQP can say, so that it never holds a message back. */
const MOST = 65_535;

/**
 * Makes RabbitMQ cancel the consumers of this channel, and so tell them, when their queue is deleted, though somebody declares
 * it anew at once. Call it when all of them consume: the channel takes no more consumers of quorum queues.
 *
 * Before version 4 (seen on 3.10.8) RabbitMQ tries to consume again by itself. Where that succeeds, it tells nobody and loses
 * what the new queue gives to the channel. A quorum queue refuses a channel with a common prefetch, so the attempt fails. From 4
 * on, as its source says, RabbitMQ always cancels; 4.3 refuses such a prefetch.
 */
export async function cancelOnDeletion(channel: Channel): Promise<void> {
  if (Number.parseInt(channel.connection.serverProperties.version) < 4) await channel.prefetch(MOST, true);
}
