import type { Channel, ConsumeMessage, Options } from "amqplib";
import type { Topology } from "../../lib/agent-kit/transports/amqp-topology.ts";
import { MAX_MESSAGE_BYTES } from "../../lib/protocol/messages.ts";
import { sendAll } from "../../lib/runtime/aws/sqs.ts";
import { log } from "../../lib/runtime/log.ts";
import type { Counters } from "./flow/counters.ts";
import { CALLS } from "./flow/limits.ts";
import { backOff, condition, type Signals } from "./flow/signals.ts";
import type { Bury } from "./poison.ts";
import { acknowledge, type Lent } from "./rabbitmq/acks.ts";
import { openWindow, type Window } from "./rabbitmq/window.ts";
import { sendMessages } from "./sqs/call.ts";
import type { SqsQueue } from "./sqs/queue.ts";
import { textOf } from "./sqs/text.ts";

type Parts = {
  queue: SqsQueue;
  names: Topology;
  bury: Bury;
  counters: Counters;
  signals: Signals;
  /** Asks for a new channel: this one has no consumer any more. */
  renew: () => void;
};

/** Messages that SQS can carry, by their ids in a batch. */
type Letters = Map<string, { lent: Lent; text: string }>;

/** How long a batch that is not full waits for more while another is under way: ten a call cost little more than one. */
const GATHER_MS = 5;

/**
 * Brings what agents say from the broker to SQS. A message is acked only when SQS has taken it. What came over a channel that
 * is lost is dropped here, since the broker delivers it again.
 */
export class Inbound {
  readonly #parts: Parts;
  readonly #changes = condition();
  /** Came, and is in no call yet. */
  readonly #waiting: Lent[] = [];
  readonly #lost = new WeakSet<Channel>();
  #consuming: { channel: Channel; window: Window } | undefined;
  #gathering: NodeJS.Timeout | undefined;
  /** Batches under way, and messages on their way to the dead letters. */
  #calls = 0;
  #burying = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Consumes on a new channel; what came over an earlier one is void. */
  async consume(channel: Channel, inHand: number): Promise<void> {
    const { names, signals, renew } = this.#parts;
    const open = new Set<number>();
    const isDrained = () => open.size <= this.#burying || this.#lost.has(channel);
    const window = await openWindow(channel, names.resultsQueue, inHand, {
      take: (message) => this.#take({ channel, message, open }),
      // Poison may take its time: it stays unacked until both sides have it.
      drained: async () => await this.#changes.until(isDrained, signals.over),
      // Where the queue was deleted: on a new channel it is declared again.
      gone: renew,
    });
    this.#consuming = { channel, window };
  }

  /** The broker gives what came over this channel to somebody again. */
  lose(channel: Channel): void {
    this.#lost.add(channel);
    if (this.#consuming?.channel === channel) this.#consuming = undefined;
    const kept = this.#waiting.filter((lent) => lent.channel !== channel);
    this.#parts.counters.in_flight -= this.#waiting.length - kept.length;
    this.#waiting.splice(0, this.#waiting.length, ...kept);
    this.#changes.changed();
  }

  /** Takes nothing more and answers when nothing is in hand, or when it is over. */
  async stop(): Promise<void> {
    let closing = this.#consuming !== undefined;
    const closed = () => {
      closing = false;
      this.#changes.changed();
    };
    // Not awaited: a broker that has fallen silent never answers.
    void this.#consuming?.window.close().then(closed, closed);
    const isIdle = () => !closing && this.#calls + this.#burying === 0 && this.#waiting.length === 0;
    await this.#changes.until(isIdle, this.#parts.signals.over);
  }

  #take(lent: Lent): void {
    const { counters } = this.#parts;
    const { fields }: ConsumeMessage = lent.message;
    if (fields.redelivered) counters.redelivered++;
    counters.in_flight++;
    this.#waiting.push(lent);
    lent.open.add(fields.deliveryTag);
    this.#gather();
  }

  #gather(): void {
    if (this.#waiting.length < 10) {
      this.#gathering ??= setTimeout(() => this.#pump(), this.#calls === 0 ? 0 : GATHER_MS);
    } else this.#pump();
  }

  #pump(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    while (this.#calls < CALLS && this.#waiting.length > 0) {
      this.#calls++;
      void this.#forward(nextBatch(this.#waiting)).finally(() => {
        this.#calls--;
        this.#changes.changed();
        this.#gather();
      });
    }
  }

  /** Sends a batch until nothing of it is left to send, or it is over. */
  async #forward(batch: Lent[]): Promise<void> {
    const { queue, counters, signals } = this.#parts;
    const left = this.#withoutPoison(batch);
    for (let failures = 0; left.size > 0; ) {
      if (signals.over.aborted) return this.#letGo(left.size);
      const error = await this.#send(left);
      this.#dropLost(left);
      if (left.size === 0) return;
      counters.failed++;
      if (failures === 0) log.warn("messages not sent", { queue: queue.url, unsent: left.size, error });
      await backOff(failures++, signals.over);
    }
  }

  #withoutPoison(batch: Lent[]): Letters {
    const good: Letters = new Map();
    for (const [index, lent] of batch.entries()) {
      const { text, fault } = textOf(lent.message.content);
      if (fault === undefined) good.set(String(index), { lent, text });
      else void this.#bury(lent, fault);
    }
    return good;
  }

  /** Makes one call, takes away from `left` what SQS has taken or never will, and answers why the rest was not sent. */
  async #send(left: Letters): Promise<unknown> {
    const { queue, counters } = this.#parts;
    const letters = [...left].map(([id, { text }]) => ({ id, queueUrl: queue.url, body: text }));
    const { sent, refused = [], error } = await sendAll(letters, sendMessages);
    const done = sent.flatMap((id) => left.get(id)?.lent ?? []);
    counters.moved += done.length;
    this.#settle(done);
    for (const id of sent) left.delete(id);
    for (const { id, reason } of refused) {
      const letter = left.get(id);
      if (letter !== undefined) void this.#bury(letter.lent, reason);
      left.delete(id);
    }
    return error;
  }

  #dropLost(left: Letters): void {
    for (const [id, { lent }] of left) {
      if (!this.#lost.has(lent.channel)) continue;
      left.delete(id);
      this.#letGo(1);
    }
  }

  /** Nobody waits for it: others must not, and until it is done the message stays with the broker. */
  async #bury(lent: Lent, reason: string): Promise<void> {
    const { queue, names, bury, counters } = this.#parts;
    this.#burying++;
    this.#changes.changed();
    const { content, properties } = lent.message;
    // Not all of them: with `userId` or `CC` the broker would refuse the letter, or send it elsewhere too.
    const { messageId, correlationId, type, contentType, contentEncoding } = properties as Options.Publish;
    const kept = { messageId, correlationId, type, contentType, contentEncoding } as Options.Publish;
    const from = { rabbitQueue: names.resultsQueue, sqsQueue: queue, sourceId: messageId ?? "" };
    if (await bury({ ...from, body: content, reason, properties: kept }, counters)) this.#settle([lent]);
    else this.#letGo(1);
    this.#burying--;
    this.#changes.changed();
  }

  /** They are safe elsewhere. */
  #settle(done: Lent[]): void {
    this.#letGo(done.length);
    acknowledge(done.filter(({ channel }) => !this.#lost.has(channel)));
    this.#changes.changed();
  }

  /** So many are not in hand any more, whoever has them now. */
  #letGo(count: number): void {
    this.#parts.counters.in_flight -= count;
  }
}

/** Takes as many as SQS takes in one call. */
function nextBatch(waiting: Lent[]): Lent[] {
  let bytes = 0;
  let count = 0;
  for (const { message } of waiting) {
    bytes += message.content.length;
    if (count === 10 || (count > 0 && bytes > MAX_MESSAGE_BYTES)) break;
    count++;
  }
  return waiting.splice(0, count);
}
