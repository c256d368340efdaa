import type { ConfirmChannel, Options } from "amqplib";
import type { Kept } from "./broker.ts";
import { gatherWrites } from "./gather-writes.ts";

export type Letter = { exchange: string; routingKey: string; body: Buffer; properties: Options.Publish };

/** The broker closed the channel over this very message: it will do so again, however often it is sent. */
export class Refused extends Error {}

/** The broker closed the channel over one of several messages, and this may be it. */
class Suspect extends Error {}

export type Publisher = {
  ready: Kept<ConfirmChannel>["ready"];
  isReady: () => boolean;
  /**
   * Answers when the broker has the message in a queue, on disk. Rejects where it is not known to: then it is to be sent
   * again, and may come twice. Rejects with Refused where sending it again cannot work. Waits no longer than until
   * the signal.
   */
  publish: (letter: Letter, signal: AbortSignal) => Promise<void>;
};

/** Publishes over a kept connection, each message with a confirm, and renews it where somebody has removed what was declared. */
export function publisherOf(kept: Kept<ConfirmChannel>): Publisher {
  let alone: Promise<unknown> = Promise.resolve();

  /** One at a time, each on a channel of its own: then it is known which message a channel was closed over. */
  const publishAlone = async (letter: Letter, signal: AbortSignal): Promise<void> => {
    await kept.ready(signal);
    const connection = kept.open()?.connection;
    if (connection === undefined) throw new Error("the broker is not connected");
    const channel = watch(await connection.createConfirmChannel());
    try {
      await send(channel, letter, signal);
    } catch (error) {
      throw error instanceof Suspect ? new Refused(error.message) : error;
    } finally {
      if (!states.get(channel)?.closed) await channel.close();
    }
  };
  return {
    ready: kept.ready,
    isReady: kept.isReady,
    publish: async (letter, signal) => {
      await kept.ready(signal);
      const channel = kept.open()?.channel;
      if (channel === undefined) throw new Error("the broker is not connected");
      try {
        return await send(watch(channel), letter, signal);
      } catch (error) {
        if (error instanceof Unroutable) kept.renew();
        if (!(error instanceof Suspect)) throw error;
      }
      const turn = alone.then(() => publishAlone(letter, signal));
      alone = turn.catch(() => {});
      return await turn;
    },
  };
}

/** No queue would have got it: somebody removed one, or a binding. All is declared anew and the message sent again. */
class Unroutable extends Error {}

type State = { returned: Set<number>; closed: boolean; closedOver?: Error };
const states = new WeakMap<ConfirmChannel, State>();

/** What is to be known of a channel: what it gave back, and why it was closed. */
function watch(channel: ConfirmChannel): ConfirmChannel {
  if (states.has(channel)) return channel;
  const state: State = { returned: new Set(), closed: false };
  states.set(channel, state);
  channel.on("return", ({ properties }) => state.returned.add(Number(properties.headers?.["publish_id"])));
  channel.on("error", (error: Error & { code?: unknown }) => {
    // An exchange that is missing (404) is nobody's fault here: all is declared anew.
    if (typeof error.code === "number" && error.code !== 404) state.closedOver = error;
  });
  // Before the listener by which amqplib fails what is unconfirmed.
  channel.prependListener("close", () => (state.closed = true));
  return channel;
}

let ids = 0;

async function send(channel: ConfirmChannel, letter: Letter, signal: AbortSignal): Promise<void> {
  const { exchange, routingKey, body, properties } = letter;
  const state = states.get(channel);
  const id = ++ids;
  // A message that no queue gets is given back, and confirmed all the same; it is known again by this header.
  const headers = { ...(properties.headers as object), publish_id: id };
  const options = { ...properties, headers, mandatory: true, persistent: true };
  await new Promise<void>((resolve, reject) => {
    const giveUp = () => reject(new Error("not confirmed in time"));
    signal.addEventListener("abort", giveUp);
    gatherWrites(channel);
    channel.publish(exchange, routingKey, body, options, (error: Error | null) => {
      signal.removeEventListener("abort", giveUp);
      if (state?.returned.delete(id)) reject(new Unroutable(`no queue gets ${routingKey} of ${exchange}`));
      else if (error === null) resolve();
      else reject(state?.closedOver === undefined ? error : new Suspect(state.closedOver.message));
    });
  });
}
