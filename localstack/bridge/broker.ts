import type { Channel, ChannelModel } from "amqplib";
import { describeLink } from "../../lib/agent-kit/transports/amqp-link.ts";
import { log } from "../../lib/runtime/log.ts";
import { backOff, condition } from "./signals.ts";

/** A connection with one channel that is opened again for ever, with backoff, whenever it is lost. */
export type Kept<C extends Channel> = {
  /** What it is open with now. Undefined while it is lost. */
  open: () => { connection: ChannelModel; channel: C } | undefined;
  /** Answers when it is open and the broker takes messages, or when the signal is aborted. */
  ready: (signal: AbortSignal) => Promise<void>;
  isReady: () => boolean;
  /** Why it is not ready; undefined where it is. */
  trouble: () => string | undefined;
  /** Opens it anew, and so declares everything anew. */
  renew: () => void;
  close: () => Promise<void>;
};

type Parts<C extends Channel> = {
  url: string;
  name: string;
  create: (connection: ChannelModel) => Promise<C>;
  prepare: (channel: C, connection: ChannelModel) => Promise<void>;
  onLost?: (channel: C) => void;
};

/** Opens the connection and keeps it open until it is closed. */
export function keepOpen<C extends Channel>(parts: Parts<C>): Kept<C> {
  const closing = new AbortController();
  const changes = condition();
  const lost = new WeakSet<C>();
  const prepared = new WeakMap<C, ChannelModel>();
  let opened: { connection: ChannelModel; channel: C } | undefined;
  let reason: string | undefined = "not connected yet";
  let blocked: string | undefined;
  let opening = false;

  const link = describeLink<C>({
    ...parts,
    prepare: async (channel, connection) => {
      connection.on("blocked", (why) => block(`the broker takes no messages: ${why}`));
      connection.on("unblocked", () => block(undefined));
      await parts.prepare(channel, connection);
      prepared.set(channel, connection);
    },
    onLost: (channel) => {
      lost.add(channel);
      if (opened?.channel === channel) {
        opened = undefined;
        reason = "the connection was lost";
      }
      parts.onLost?.(channel);
      block(undefined);
      void open();
    },
  });
  const block = (why: string | undefined) => {
    if (why !== undefined) log.warn("broker blocked", { connection: parts.name, reason: why });
    blocked = why;
    changes.changed();
  };
  const open = async () => {
    if (opening) return;
    opening = true;
    for (let failures = 0; !closing.signal.aborted; failures++) {
      try {
        const channel = await link.channel();
        const connection = prepared.get(channel);
        if (connection === undefined || lost.has(channel)) continue;
        opened = { connection, channel };
        reason = undefined;
        log.info("broker connected", { connection: parts.name });
        break;
      } catch (error) {
        if (closing.signal.aborted) break;
        const said = (error as Error).message;
        // Once a cause: a broker that is away for a night would fill the log.
        if (said !== reason) log.warn("broker not connected", { connection: parts.name, error });
        reason = said;
        await backOff(failures, closing.signal);
      }
    }
    opening = false;
    changes.changed();
  };
  void open();
  const isReady = () => opened !== undefined && blocked === undefined;
  return {
    open: () => opened,
    isReady,
    ready: (signal) => changes.until(isReady, signal),
    trouble: () => reason ?? blocked,
    renew: link.drop,
    close: async () => {
      closing.abort();
      await link.close();
    },
  };
}
