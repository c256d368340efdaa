// Own, though amqp-connection-manager reconnects too: it sends again by itself what was under way, and here whoever asks has to know
// that the channel is another one, since what came over the old one is void.
import { type Channel, type ChannelModel, connect } from "amqplib";
import { log } from "../../runtime/log.ts";
import { within } from "../../time.ts";

/** A connection and its one channel: they live and die together. */
export type Opened<C extends Channel> = { connection: ChannelModel; channel: C };

/** What a connection is made of. */
export type Parts<C extends Channel> = {
  url: string;
  /** What the broker's own lists call the connection. */
  name: string;
  create: (connection: ChannelModel) => Promise<C>;
  /** Makes a new channel ready for use. */
  prepare: (channel: C, connection: ChannelModel) => Promise<void>;
  /** What came over the channel is void: the broker gives it to somebody again. */
  onLost?: (channel: C) => void;
};

/** A connection on which nothing comes for twice as long is dead. A `heartbeat` in the URL overrides it. */
const HEARTBEAT_SECONDS = 10;
const CONNECT_MS = 10_000;
const CLOSE_MS = 2000;

/**
 * One connection with one channel, opened when it is first asked for and, after it was lost, when it is asked for again. Whoever
 * asks decides when to ask again: amqplib's own recovery would reconnect, but knows nothing of what was lent over the old channel.
 */
export class Link<C extends Channel> {
  readonly #parts: Parts<C>;
  readonly #address: string;
  #current: Promise<Opened<C>> | undefined;
  #closed = false;

  /** Nothing is opened yet. */
  constructor(parts: Parts<C>) {
    const address = new URL(parts.url);
    if (!address.searchParams.has("heartbeat")) address.searchParams.set("heartbeat", String(HEARTBEAT_SECONDS));
    this.#parts = parts;
    this.#address = address.href;
  }

  /** What works now. Rejects where the broker cannot be reached. */
  async opened(): Promise<Opened<C>> {
    return await (this.#current ??= this.#open());
  }

  /** The same, where there is one or one is being opened. */
  async ifOpen(): Promise<Opened<C> | undefined> {
    return await this.#current;
  }

  /** The next to ask gets a new connection; what was written to this one may still arrive. */
  drop(): void {
    void this.#current?.then(({ connection }) => connection.close()).catch(() => {});
    this.#current = undefined;
  }

  /** Ends it when what was written has arrived, or after two seconds. Nothing is opened after this. */
  async close(): Promise<void> {
    this.#closed = true;
    await within(
      CLOSE_MS,
      this.#end().catch(() => {}),
      () => {},
    );
  }

  async #end(): Promise<void> {
    const opened = await this.#current;
    await opened?.channel.close();
    await opened?.connection.close();
  }

  #open(): Promise<Opened<C>> {
    const forget = () => {
      if (this.#current === opening) this.#current = undefined;
    };
    const opening = this.#connect(forget);
    opening.catch(forget);
    return opening;
  }

  async #connect(onEnd: () => void): Promise<Opened<C>> {
    if (this.#closed) throw new Error("the link to the broker is closed");
    const { name, create, prepare, onLost } = this.#parts;
    const connection = await connect(this.#address, {
      timeout: CONNECT_MS,
      // Acks are small, and must not wait for more to go with them.
      noDelay: true,
      clientProperties: { connection_name: name },
    });
    let reason: Error | undefined;
    const because = (error: Error) => (reason = error);
    connection.on("error", because);
    try {
      const channel = await create(connection);
      channel.on("error", because);
      let ready = false;
      channel.once("close", () => {
        onEnd();
        if (ready && !this.#closed) log.warn("broker connection lost", { connection: name, error: reason });
        onLost?.(channel);
        connection.close().catch(() => {});
      });
      await prepare(channel, connection);
      ready = true;
      return { connection, channel };
    } catch (error) {
      connection.close().catch(() => {});
      throw error;
    }
  }
}
