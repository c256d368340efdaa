import { EventEmitter, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Channel, ConsumeMessage } from "amqplib";
import { uuidOf } from "../../runtime/ids.ts";
import { cancelledOnDeletion } from "./amqp-deletion.ts";
import { describeLink } from "./amqp-link.ts";
import { describePublisher } from "./amqp-publisher.ts";
import { declareTopology, topology } from "./amqp-topology.ts";
import type { AgentSettings, AmqpQueue } from "./env.ts";
import type { Delivery, Transport } from "./transport.ts";

type AmqpSettings = Pick<AgentSettings, "concurrency" | "visibilitySeconds" | "pollSeconds"> & { queue: AmqpQueue };

/** A message that the broker has lent over this channel. */
type Lent = { channel: Channel; message: ConsumeMessage; since: number; kept: boolean };
type Deal = (channel: Channel, message: ConsumeMessage) => void;

const accept: Deal = (channel, message) => channel.ack(message);
const giveBack: Deal = (channel, message) => channel.nack(message, false, true);
const bury: Deal = (channel, message) => channel.nack(message, false, false);

/** Longest that stopping waits for the broker to give no more. */
const STOP_MS = 1000;

/**
 * Messages over AMQP, with what SQS promises: a message is in one agent's hands until it is dealt with, given back, or no longer
 * kept (`extend`, within the visibility time); when the connection is lost, somebody gets it again at once. The agent declares
 * what it needs, so that it may start before anything else. `most` is how many messages it may hold beyond its places.
 *
 * It takes and sends over two connections: a broker short of memory stops reading from one that publishes, acks included.
 */
export function amqpTransport(settings: AmqpSettings, name: string, most: number): Transport {
  const { concurrency, visibilitySeconds, pollSeconds } = settings;
  const { url, prefix, ackSeconds } = settings.queue;
  const names = topology(prefix);
  const queue = names.agentQueue(name);
  const publisher = describePublisher(url, prefix, `waybill agent ${name}, sending`);
  const waiting: Lent[] = [];
  const inHand = new Set<Lent>();
  let tags: string[] = [];
  let stopped = false;
  const news = new EventEmitter();

  const link = describeLink<Channel>({
    url,
    name: `waybill agent ${name}, taking`,
    create: (connection) => connection.createChannel(),
    prepare: async (channel, connection) => {
      await declareTopology(connection, [name], prefix);
      const take = (message: ConsumeMessage | null) => {
        // The queue was deleted: a new connection declares it again.
        if (message === null) return link.drop();
        waiting.push({ channel, message, since: Date.now(), kept: true });
        news.emit("any");
      };
      // RabbitMQ serves the higher priority first: a message goes to whoever has a free place. Only what nobody has a place
      // for is taken to wait, so that a `cancelled` behind it is heard.
      tags = await cancelledOnDeletion(channel, async () => {
        await channel.prefetch(concurrency);
        const places = await channel.consume(queue, take, { priority: 1 });
        await channel.prefetch(most);
        const beyond = await channel.consume(queue, take, { priority: 0 });
        return [places.consumerTag, beyond.consumerTag];
      });
    },
    onLost: (channel) => {
      for (const lent of inHand) if (lent.channel === channel) inHand.delete(lent);
      waiting.splice(0, waiting.length, ...waiting.filter((lent) => lent.channel !== channel));
      news.emit("any");
    },
  });

  /** Tells the broker once: told twice, it would close the channel, with everything else that came over it. */
  const settle = (lent: Lent, deal: Deal) => {
    if (!inHand.delete(lent)) return;
    try {
      deal(lent.channel, lent.message);
    } catch {
      // The channel is closing: the message comes again.
    }
  };
  const handOut = (lent: Lent): Delivery => {
    const body = lent.message.content.toString();
    let ours = false;
    inHand.add(lent);
    return {
      id: uuidOf(body),
      body,
      receiveCount: 1 + Number(lent.message.properties.headers?.["x-delivery-count"] ?? 0),
      extend: async () => {
        lent.kept = true;
        if (Date.now() - lent.since < ackSeconds * 1000 || !inHand.has(lent)) return;
        // A broker closes the channel of whoever keeps a message longer than its consumer_timeout (30 min), and all that is
        // in hand here would go to others as well. So it is acked before that; from then on the lease alone guards the work.
        ours = true;
        settle(lent, accept);
      },
      accept: async () => settle(lent, accept),
      release: async () => {
        if (!ours) return settle(lent, giveBack);
        const { error } = await publisher.publish([{ id: queue, body }], { exchange: "", key: queue });
        if (error !== undefined) throw error as Error;
      },
      reject: async () => settle(lent, bury),
    };
  };
  /** What nobody has dealt with, and nobody keeps, goes back: as SQS does when a visibility time is over. */
  const forgotten = setInterval(() => {
    for (const lent of inHand) {
      if (lent.kept) lent.kept = false;
      else settle(lent, giveBack);
    }
  }, visibilitySeconds * 1000);
  forgotten.unref();
  const takeNoMore = async () => {
    const channel = await link.ifOpen();
    // First no more, then back: what is given back by one who still takes may come to him again.
    for (const tag of tags) await channel?.cancel(tag);
    for (const lent of waiting.splice(0)) giveBack(lent.channel, lent.message);
  };

  return {
    receive: async (max) => {
      if (stopped) return [];
      await link.channel();
      const limit = AbortSignal.timeout(pollSeconds * 1000);
      if (waiting.length === 0) await once(news, "any", { signal: limit }).catch(() => {});
      return stopped ? [] : waiting.splice(0, max).map(handOut);
    },
    send: async (letters) => await publisher.publish(letters, { exchange: names.results, key: name }),
    stop: async () => {
      stopped = true;
      news.emit("any");
      await Promise.race([takeNoMore().catch(() => {}), sleep(STOP_MS, undefined, { ref: false })]);
    },
    close: async () => {
      clearInterval(forgotten);
      await Promise.all([link.close(), publisher.close()]);
    },
  };
}
