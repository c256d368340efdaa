import { randomUUID } from "node:crypto";
import type { Channel, ConsumeMessage } from "amqplib";
import { cancelledOnDeletion } from "../../../lib/agent-kit/transports/amqp-deletion.ts";
import { MOST_BYTES } from "../flow/limits.ts";

type Ends = {
  take: (message: ConsumeMessage) => void;
  /** Answers when everything that came is acked, but for poison. */
  drained: () => Promise<void>;
  /** Is told when the broker has ended it, as it does when the queue is deleted. */
  gone: () => void;
};

/**
 * Opens a window: consumes from a queue of the broker, with as many messages unacked as fit into 16 MiB by the size of the last
 * ones, and no more than `most`. The broker counts messages and not bytes, and sends all at once: so it begins with one, and
 * doubles while they are small.
 */
export async function openWindow(channel: Channel, queue: string, most: number, ends: Ends): Promise<Window> {
  const window = new Window(channel, queue, most, ends);
  await window.open();
  return window;
}

/**
 * consuming: as many come as its size · resizing: its consumer is being ended, and begun again with another size · closed: none
 * is begun any more · lost: the channel went while it was resized.
 */
type WindowState = "consuming" | "resizing" | "closed" | "lost";

/** What comes over one channel from one queue. */
export class Window {
  readonly #channel: Channel;
  readonly #queue: string;
  readonly #most: number;
  readonly #ends: Ends;
  #state: WindowState = "consuming";
  #size = 1;
  /** Since the size was last looked at: messages, and their bytes. */
  #came = 0;
  #bytes = 0;
  #consumerTag = "";
  #resized = Promise.resolve();
  readonly #closing = Promise.withResolvers<void>();

  constructor(channel: Channel, queue: string, most: number, ends: Ends) {
    this.#channel = channel;
    this.#queue = queue;
    this.#most = most;
    this.#ends = ends;
  }

  /** Begins to consume. */
  async open(): Promise<void> {
    await this.#consume();
  }

  /** Takes nothing more. Rejects where the channel is lost. */
  async close(): Promise<void> {
    this.#enter("closed");
    this.#closing.resolve();
    // A consumer that is being started cannot be cancelled yet.
    await this.#resized;
    await this.#channel.cancel(this.#consumerTag);
  }

  async #consume(): Promise<void> {
    this.#consumerTag = randomUUID();
    await cancelledOnDeletion(this.#channel, async () => {
      // It counts for consumers that come after it.
      await this.#channel.prefetch(this.#size);
      const consumerTag = this.#consumerTag;
      await this.#channel.consume(this.#queue, (message) => this.#receive(message), { consumerTag });
    });
  }

  #receive(message: ConsumeMessage | null): void {
    if (message === null) return this.#ends.gone();
    this.#came++;
    this.#bytes += message.content.length;
    this.#ends.take(message);
    if (this.#is("consuming") && this.#isFull()) this.#resized = this.#resize();
  }

  /** Whether as many have come as the broker may send without an ack. */
  #isFull(): boolean {
    return this.#came >= this.#size;
  }

  async #resize(): Promise<void> {
    this.#enter("resizing");
    try {
      while (this.#is("resizing") && this.#isFull()) await this.#fit();
      this.#enter("consuming");
    } catch {
      // The channel is lost; on the next one it begins anew.
      this.#enter("lost");
    }
  }

  /** Gives the window the size that its last messages ask for, by another consumer where that is worth one. */
  async #fit(): Promise<void> {
    const fitting = Math.floor((MOST_BYTES * this.#came) / Math.max(this.#bytes, 1));
    const next = Math.max(1, Math.min(fitting, this.#size * 2, this.#most));
    this.#came = this.#bytes = 0;
    if (Math.abs(next - this.#size) < this.#size / 4) return;
    this.#size = next;
    await this.#channel.cancel(this.#consumerTag);
    // What is unacked does not count for the next consumer.
    await Promise.race([this.#ends.drained(), this.#closing.promise]);
    if (this.#is("resizing")) await this.#consume();
  }

  #is(state: WindowState): boolean {
    return this.#state === state;
  }

  /** Closed and lost are for good. */
  #enter(next: WindowState): void {
    if (this.#is("consuming") || this.#is("resizing")) this.#state = next;
  }
}
