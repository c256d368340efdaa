import { EventEmitter, once } from "node:events";
import type { Channel, ChannelModel, ConsumeMessage } from "amqplib";
import { uuidOf } from "../../runtime/ids.ts";
import { within } from "../../time.ts";
import { cancelledOnDeletion } from "./amqp-deletion.ts";
import { Link } from "./amqp-link.ts";
import { describeSending, type Sending } from "./amqp-sending.ts";
import { declareTopology, topology } from "./amqp-topology.ts";
import type { AgentSettings, AmqpQueue } from "./env.ts";
import type { Delivery, Letter, Transport } from "./transport.ts";

type AmqpSettings = Pick<AgentSettings, "concurrency" | "visibilitySeconds" | "pollSeconds"> & { queue: AmqpQueue };

/**
 * A message that the broker has lent over this channel. `acked` where it was told before its work is done, `passed` where another
 * process has passed it on: that is a copy, of which the broker wants to hear nothing.
 */
type Lent = {
  channel: Channel;
  message: ConsumeMessage;
  since: number;
  kept: boolean;
  acked: boolean;
  passed: boolean;
};
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
  return new AmqpTransport(settings, name, most);
}

class AmqpTransport implements Transport {
  readonly #settings: AmqpSettings;
  readonly #name: string;
  readonly #most: number;
  readonly #queue: string;
  readonly #link: Link<Channel>;
  readonly #sending: Sending;
  readonly #forgetting: NodeJS.Timeout;
  /** Came, and nobody has asked for it yet. */
  #waiting: Lent[] = [];
  readonly #inHand = new Set<Lent>();
  /** Emits "any" when there is something to receive, or will be nothing more. */
  readonly #news = new EventEmitter();
  #consumerTags: string[] = [];
  #stopped = false;
  #resting = false;

  constructor(settings: AmqpSettings, name: string, most: number) {
    const { url, prefix } = settings.queue;
    this.#settings = settings;
    this.#name = name;
    this.#most = most;
    this.#queue = topology(prefix).agentQueue(name);
    this.#sending = describeSending(url, prefix, `waybill agent ${name}, sending`);
    this.#link = new Link<Channel>({
      url,
      name: `waybill agent ${name}, taking`,
      create: (connection) => connection.createChannel(),
      prepare: (channel, connection) => this.#consume(channel, connection),
      onLost: (channel) => this.#lose(channel),
    });
    this.#forgetting = setInterval(() => this.#giveBackForgotten(), settings.visibilitySeconds * 1000);
    this.#forgetting.unref();
  }

  async receive(max: number): Promise<Delivery[]> {
    if (this.#stopped) return [];
    const { channel, connection } = await this.#link.opened();
    if (this.#resting) await this.#consume(channel, connection);
    const limit = AbortSignal.timeout(this.#settings.pollSeconds * 1000);
    if (this.#waiting.length === 0) await once(this.#news, "any", { signal: limit }).catch(() => {});
    return this.#stopped ? [] : this.#waiting.splice(0, max).map((lent) => this.#handOut(lent));
  }

  async send(letters: Letter[]): ReturnType<Transport["send"]> {
    const { results } = topology(this.#settings.queue.prefix);
    return await this.#sending.send(letters, { exchange: results, key: this.#name });
  }

  async rest(): Promise<void> {
    if (this.#resting) return;
    this.#resting = true;
    await this.#takeNoMore();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#news.emit("any");
    await within(
      STOP_MS,
      this.#takeNoMore().catch(() => {}),
      () => {},
    );
  }

  async close(): Promise<void> {
    clearInterval(this.#forgetting);
    await Promise.all([this.#link.close(), this.#sending.close()]);
  }

  /**
   * RabbitMQ serves the higher priority first: a message goes to whoever has a free place. Only what nobody has a place for is
   * taken to wait, so that a `cancelled` behind it is heard. What another process has passed on comes to all of them.
   */
  async #consume(channel: Channel, connection: ChannelModel): Promise<void> {
    const { passed } = await declareTopology(connection, [this.#name], this.#settings.queue.prefix);
    const { queue: own } = await channel.assertQueue("", { exclusive: true, autoDelete: true });
    await channel.bindQueue(own, passed, this.#name);
    const take = (message: ConsumeMessage | null) => this.#take(channel, message);
    this.#consumerTags = await cancelledOnDeletion(channel, async () => {
      await channel.prefetch(this.#settings.concurrency);
      const places = await channel.consume(this.#queue, take, { priority: 1 });
      await channel.prefetch(this.#most);
      const beyond = await channel.consume(this.#queue, take, { priority: 0 });
      const copies = await channel.consume(own, (message) => this.#take(channel, message, true), { noAck: true });
      return [places.consumerTag, beyond.consumerTag, copies.consumerTag];
    });
    this.#resting = false;
  }

  #take(channel: Channel, message: ConsumeMessage | null, passed = false): void {
    // The queue was deleted: a new connection declares it again.
    if (message === null) return this.#link.drop();
    this.#waiting.push({ channel, message, since: Date.now(), kept: true, acked: false, passed });
    this.#news.emit("any");
  }

  #lose(channel: Channel): void {
    for (const lent of this.#inHand) if (lent.channel === channel) this.#inHand.delete(lent);
    this.#waiting = this.#waiting.filter((lent) => lent.channel !== channel);
    this.#news.emit("any");
  }

  #handOut(lent: Lent): Delivery {
    const body = lent.message.content.toString();
    if (!lent.passed) this.#inHand.add(lent);
    return {
      id: uuidOf(body),
      body,
      receiveCount: 1 + Number(lent.message.properties.headers?.["x-delivery-count"] ?? 0),
      extend: async () => this.#extend(lent),
      accept: async () => this.#settle(lent, accept),
      release: () => this.#release(lent, body),
      passOn: () => this.#passOn(lent, body),
      reject: async () => this.#settle(lent, bury),
    };
  }

  #extend(lent: Lent): void {
    lent.kept = true;
    if (Date.now() - lent.since < this.#settings.queue.ackSeconds * 1000 || !this.#inHand.has(lent)) return;
    // A broker closes the channel of whoever keeps a message longer than its consumer_timeout (30 min), and all that is
    // in hand here would go to others as well. So it is acked before that; from then on the lease alone guards the work.
    lent.acked = true;
    this.#settle(lent, accept);
  }

  /** What the broker has forgotten already is put on the queue anew. */
  async #release(lent: Lent, body: string): Promise<void> {
    if (!lent.acked) return this.#settle(lent, giveBack);
    const { error } = await this.#sending.send([{ id: this.#queue, body }], { exchange: "", key: this.#queue });
    if (error !== undefined) throw error as Error;
  }

  /** To every process of the agent, this one too: a broker would give it back to whoever has a free place, again and again. */
  async #passOn(lent: Lent, body: string): Promise<void> {
    if (lent.passed) return;
    const { passed } = topology(this.#settings.queue.prefix);
    const { error } = await this.#sending.send([{ id: this.#queue, body }], { exchange: passed, key: this.#name });
    if (error !== undefined) throw error as Error;
    this.#settle(lent, accept);
  }

  /** Tells the broker once: told twice, it would close the channel, with everything else that came over it. */
  #settle(lent: Lent, deal: Deal): void {
    if (!this.#inHand.delete(lent)) return;
    try {
      deal(lent.channel, lent.message);
    } catch {
      // The channel is closing: the message comes again.
    }
  }

  /** What nobody has dealt with, and nobody keeps, goes back: as SQS does when a visibility time is over. */
  #giveBackForgotten(): void {
    for (const lent of this.#inHand) {
      if (lent.kept) lent.kept = false;
      else this.#settle(lent, giveBack);
    }
  }

  /** First no more, then back: what is given back by one who still takes may come to him again. */
  async #takeNoMore(): Promise<void> {
    const opened = await this.#link.ifOpen();
    for (const tag of this.#consumerTags) await opened?.channel.cancel(tag);
    for (const lent of this.#waiting.splice(0)) if (!lent.passed) giveBack(lent.channel, lent.message);
  }
}
