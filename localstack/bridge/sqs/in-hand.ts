import { setTimeout as sleep } from "node:timers/promises";
import type { Message } from "@aws-sdk/client-sqs";
import { log } from "../../../lib/runtime/log.ts";
import type { Counters } from "../flow/counters.ts";
import { MOST_BYTES } from "../flow/limits.ts";
import { backOff, condition, type Signals } from "../flow/signals.ts";
import type { SqsQueue } from "./queue.ts";

/** How long a removal waits for others to go with it: ten a call cost as much as one. */
const GATHER_MS = 5;

/**
 * The messages of one queue that this process was lent, until each is removed or given back. For as long it keeps them invisible
 * to others.
 */
export class InHand {
  readonly #queue: SqsQueue;
  readonly #visibilitySeconds: number;
  readonly #counters: Counters;
  readonly #signals: Signals;
  readonly #changes = condition();
  /** By whether they were there a tick ago: the others are fresh enough. */
  readonly #held = new Map<Message, boolean>();
  readonly #ticking: NodeJS.Timeout;
  #bytes = 0;
  /** Messages that calls under way may bring, and what each is likely to have. */
  #asking = 0;
  #each = 1;
  /** Calls under way that end what is in hand. */
  readonly #ending = new Set<Promise<void>>();

  /** The queue may forget it. */
  readonly remove = gathered((messages) => this.#removeAll(messages), this.#ending);
  /** Somebody else may have it. */
  readonly giveBack = gathered((messages) => this.#giveBackAll(messages), this.#ending);

  constructor(queue: SqsQueue, visibilitySeconds: number, counters: Counters, signals: Signals) {
    this.#queue = queue;
    this.#visibilitySeconds = visibilitySeconds;
    this.#counters = counters;
    this.#signals = signals;
    this.#ticking = setInterval(() => this.#keep(), (visibilitySeconds * 1000) / 3);
  }

  /**
   * Makes a call for messages, at most ten, as soon as there is room: no more than `most` messages and 16 MiB, by the size of the
   * last ones, are in hand or asked for. Passes on what comes. Answers whether all came that were asked for; no once it is to stop.
   */
  async take(
    most: number,
    call: (count: number) => Promise<Message[]>,
    pass: (message: Message) => void,
  ): Promise<boolean> {
    const { stopping } = this.#signals;
    while (!stopping.aborted && this.#room(most) < 1) {
      await this.#changes.until(() => this.#room(most) > 0, stopping);
    }
    if (stopping.aborted) return false;
    const count = this.#room(most);
    this.#asking += count;
    try {
      const messages = await call(count);
      this.#hold(messages);
      for (const message of messages) pass(message);
      return messages.length === count;
    } finally {
      this.#asking -= count;
      this.#changes.changed();
    }
  }

  /** Answers when nothing is in hand, or when it is over. */
  async empty(): Promise<void> {
    await this.#changes.until(() => this.#held.size === 0, this.#signals.over);
  }

  /** Nothing is kept any more. */
  async end(): Promise<void> {
    // Who still tries notices in this turn that it is over, and gives back.
    await sleep(GATHER_MS * 2);
    await Promise.all(this.#ending);
    clearInterval(this.#ticking);
  }

  /** For how many more there is room; for one at least where nothing is in hand, however large it may be. */
  #room(most: number): number {
    const all = this.#held.size + this.#asking;
    const fitting = Math.floor((MOST_BYTES - this.#bytes) / this.#each) - this.#asking;
    const free = Math.min(10, most - all, fitting);
    return all === 0 ? Math.max(free, 1) : free;
  }

  #hold(messages: Message[]): void {
    for (const message of messages) this.#held.set(message, false);
    const brought = messages.reduce((sum, { Body = "" }) => sum + Body.length, 0);
    this.#bytes += brought;
    if (messages.length > 0) this.#each = Math.max(brought / messages.length, 1);
    this.#counters.in_flight += messages.length;
  }

  #letGo(messages: Message[]): void {
    for (const message of messages) {
      if (!this.#held.delete(message)) continue;
      this.#bytes -= message.Body?.length ?? 0;
      this.#counters.in_flight--;
    }
    this.#changes.changed();
  }

  /** Tries until the queue has forgotten them, or it is over. */
  async #removeAll(messages: Message[]): Promise<void> {
    const { over } = this.#signals;
    let left = messages;
    for (let failures = 0; !over.aborted; ) {
      try {
        left = await this.#queue.remove(left);
        if (left.length === 0) break;
      } catch (error) {
        if (failures === 0) log.warn("messages not removed", { queue: this.#queue.url, error });
      }
      await backOff(failures++, over);
    }
    this.#letGo(messages);
  }

  async #giveBackAll(messages: Message[]): Promise<void> {
    await this.#queue
      .hold(messages, 0)
      .catch((error: unknown) => log.warn("not given back", { queue: this.#queue.url, error }));
    this.#letGo(messages);
  }

  #keep(): void {
    const old = [...this.#held].filter(([, wasThere]) => wasThere).map(([message]) => message);
    for (const message of this.#held.keys()) this.#held.set(message, true);
    for (let i = 0; i < old.length; i += 10) {
      this.#queue.hold(old.slice(i, i + 10), this.#visibilitySeconds).catch((error: unknown) => {
        log.warn("messages not kept", { queue: this.#queue.url, error });
      });
    }
  }
}

/** Runs over messages by the ten, as soon as ten are there or a moment after the first. */
function gathered(
  run: (messages: Message[]) => Promise<void>,
  running: Set<Promise<void>>,
): (message: Message) => void {
  let waiting: Message[] = [];
  let timer: NodeJS.Timeout | undefined;
  const go = () => {
    clearTimeout(timer);
    timer = undefined;
    const ran = run(waiting).finally(() => running.delete(ran));
    running.add(ran);
    waiting = [];
  };
  return (message) => {
    waiting.push(message);
    if (waiting.length === 10) go();
    else timer ??= setTimeout(go, GATHER_MS);
  };
}
