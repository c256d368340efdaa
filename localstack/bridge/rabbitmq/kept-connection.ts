import type { Channel, ChannelModel, ConfirmChannel } from "amqplib";
import { Link, type Opened, type Parts } from "../../../lib/agent-kit/transports/amqp-link.ts";
import type { Outlet } from "../../../lib/agent-kit/transports/amqp-publisher.ts";
import { log } from "../../../lib/runtime/log.ts";
import { backOff, condition } from "../flow/signals.ts";
import { gatherWrites } from "./gather-writes.ts";

/** A connection with one channel that is opened again for ever, with backoff, whenever it is lost, until it is closed. */
export class KeptConnection<C extends Channel> {
  readonly #parts: Parts<C>;
  readonly #link: Link<C>;
  readonly #closing = new AbortController();
  readonly #changes = condition();
  readonly #lost = new WeakSet<C>();
  #opened: Opened<C> | undefined;
  #opening = false;
  /** Why it is not open. */
  #reason: string | undefined = "not connected yet";
  /** Why the broker takes no messages over it. */
  #blocked: string | undefined;

  /** Begins to open it at once. */
  constructor(parts: Parts<C>) {
    this.#parts = parts;
    this.#link = new Link<C>({
      ...parts,
      prepare: (channel, connection) => this.#prepare(channel, connection),
      onLost: (channel) => this.#lose(channel),
    });
    void this.#open();
  }

  /** What it is open with now. Undefined while it is lost. */
  opened(): Opened<C> | undefined {
    return this.#opened;
  }

  /** Answers when it is open and the broker takes messages, or when the signal is aborted. */
  async ready(signal: AbortSignal): Promise<void> {
    await this.#changes.until(() => this.#opened !== undefined && this.#blocked === undefined, signal);
  }

  /** Why it is not ready; undefined where it is. */
  trouble(): string | undefined {
    return this.#reason ?? this.#blocked;
  }

  /** Opens it anew, and so declares everything anew. */
  renew(): void {
    this.#link.drop();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#link.close();
  }

  async #open(): Promise<void> {
    if (this.#opening) return;
    this.#opening = true;
    for (let failures = 0; !this.#closing.signal.aborted; failures++) {
      try {
        const opened = await this.#link.opened();
        if (this.#lost.has(opened.channel)) continue;
        this.#opened = opened;
        this.#reason = undefined;
        log.info("broker connected", { connection: this.#parts.name });
        break;
      } catch (error) {
        if (this.#closing.signal.aborted) break;
        this.#tellFailure(error as Error);
        await backOff(failures, this.#closing.signal);
      }
    }
    this.#opening = false;
    this.#changes.changed();
  }

  /** Once a cause: a broker that is away for a night would fill the log. */
  #tellFailure(error: Error): void {
    if (error.message !== this.#reason) log.warn("broker not connected", { connection: this.#parts.name, error });
    this.#reason = error.message;
  }

  async #prepare(channel: C, connection: ChannelModel): Promise<void> {
    connection.on("blocked", (why) => this.#block(`the broker takes no messages: ${why}`));
    connection.on("unblocked", () => this.#block(undefined));
    await this.#parts.prepare(channel, connection);
  }

  #block(why: string | undefined): void {
    if (why !== undefined) log.warn("broker blocked", { connection: this.#parts.name, reason: why });
    this.#blocked = why;
    this.#changes.changed();
  }

  #lose(channel: C): void {
    this.#lost.add(channel);
    if (this.#opened?.channel === channel) {
      this.#opened = undefined;
      this.#reason = "the connection was lost";
    }
    this.#parts.onLost?.(channel);
    this.#block(undefined);
    void this.#open();
  }
}

/** A kept connection as a place to publish: it waits until the broker takes messages, and writes several of them at once. */
export function outletOf(kept: KeptConnection<ConfirmChannel>): Outlet {
  return {
    opened: async (signal) => {
      await kept.ready(signal);
      const opened = kept.opened();
      if (opened === undefined) throw new Error("the broker is not connected");
      gatherWrites(opened.channel);
      return opened;
    },
    renew: () => kept.renew(),
  };
}
