import { setTimeout as sleep } from "node:timers/promises";
import { type Channel, type ChannelModel, connect } from "amqplib";
import { log } from "../../runtime/log.ts";

/** One connection with one channel, opened when it is first asked for and, after it was lost, when it is asked for again. */
export type Link<C extends Channel> = {
  /** The channel that works now. Rejects where the broker cannot be reached: who asks decides when to ask again. */
  channel: () => Promise<C>;
  /** The channel, where there is one or one is being opened. */
  ifOpen: () => Promise<C | undefined>;
  /** The next to ask gets a new connection; what was written to this one may still arrive. */
  drop: () => void;
  /** Ends it when what was written has arrived, or after two seconds. Nothing is opened after this. */
  close: () => Promise<void>;
};

type Parts<C extends Channel> = {
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
 * Describes a link; nothing is opened yet. Channel and connection live and die together, and whoever needs them asks again
 * with a backoff of its own: amqplib's recovery would reconnect, but knows nothing of what was lent over the old channel.
 */
export function describeLink<C extends Channel>({ url, name, create, prepare, onLost }: Parts<C>): Link<C> {
  const address = new URL(url);
  if (!address.searchParams.has("heartbeat")) address.searchParams.set("heartbeat", String(HEARTBEAT_SECONDS));
  let current: Promise<{ connection: ChannelModel; channel: C }> | undefined;
  let closed = false;

  const open = async (onEnd: () => void) => {
    if (closed) throw new Error("the link to the broker is closed");
    const connection = await connect(address.href, {
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
        if (ready && !closed) log.warn("broker connection lost", { connection: name, error: reason });
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
  };
  const ask = () => {
    const asked = open(() => {
      if (current === asked) current = undefined;
    });
    asked.catch(() => {
      if (current === asked) current = undefined;
    });
    return asked;
  };
  const end = async () => {
    const opened = await current;
    await opened?.channel.close();
    await opened?.connection.close();
  };
  return {
    channel: async () => (await (current ??= ask())).channel,
    ifOpen: async () => (await current)?.channel,
    drop: () => {
      void current?.then(({ connection }) => connection.close()).catch(() => {});
      current = undefined;
    },
    close: async () => {
      closed = true;
      await Promise.race([end().catch(() => {}), sleep(CLOSE_MS, undefined, { ref: false })]);
    },
  };
}
