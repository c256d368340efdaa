import type { ConfirmChannel, Options } from "amqplib";
import type { Opened } from "./amqp-link.ts";

/** One message to publish. */
export type AmqpLetter = { exchange: string; routingKey: string; body: Buffer; properties: Options.Publish };

/** A connection to publish over, which somebody keeps. */
export type Outlet = {
  /** What is open now. Rejects where the broker cannot be reached. */
  opened: (signal: AbortSignal) => Promise<Opened<ConfirmChannel>>;
  /** Has it opened anew, and so everything declared anew. */
  renew: () => void;
};

/** The broker closed the channel over this very message: it will do so again, however often it is sent. */
export class Refused extends Error {}

/** The broker closed the channel over one of several messages, and this may be it. */
class Suspect extends Error {}

/** No queue would have got it: somebody removed one, or a binding. */
class Unroutable extends Error {}

/**
 * Answers when the broker has the message in a queue, on disk. Rejects where it is not known to: then it is to be sent again, and
 * may come twice. Rejects with Refused where sending it again cannot work. Waits no longer than until the signal.
 */
export type Publish = (letter: AmqpLetter, signal: AbortSignal) => Promise<void>;

/** Publishes over a connection, each message with a confirm, and renews it where somebody has removed what was declared. */
export function publisherOver({ opened, renew }: Outlet): Publish {
  let alone: Promise<unknown> = Promise.resolve();

  /** One at a time, each on a channel of its own: then it is known which message a channel was closed over. */
  const publishAlone = async (letter: AmqpLetter, signal: AbortSignal): Promise<void> => {
    const { connection } = await opened(signal);
    const channel = await connection.createConfirmChannel();
    try {
      await send(channel, letter, signal);
    } catch (error) {
      throw error instanceof Suspect ? new Refused(error.message) : error;
    } finally {
      if (!watch(channel).closed) await channel.close();
    }
  };
  return async (letter, signal) => {
    const { channel } = await opened(signal);
    try {
      return await send(channel, letter, signal);
    } catch (error) {
      if (error instanceof Unroutable) renew();
      if (!(error instanceof Suspect)) throw error;
    }
    const turn = alone.then(() => publishAlone(letter, signal));
    alone = turn.catch(() => {});
    return await turn;
  };
}

/** What is to be known of a channel: what it gave back, by the ids of `send`, and why it was closed. */
type Watch = { returned: Set<number>; closed: boolean; closedOver?: Error };
const watches = new WeakMap<ConfirmChannel, Watch>();

function watch(channel: ConfirmChannel): Watch {
  const known = watches.get(channel);
  if (known !== undefined) return known;
  const seen: Watch = { returned: new Set(), closed: false };
  watches.set(channel, seen);
  channel.on("return", ({ properties }) => seen.returned.add(Number(properties.headers?.["publish_id"])));
  channel.on("error", (error: Error & { code?: unknown }) => {
    // An exchange that is missing (404) is nobody's fault here: all is declared anew.
    if (typeof error.code === "number" && error.code !== 404) seen.closedOver = error;
  });
  // Before the listener by which amqplib fails what is unconfirmed.
  channel.prependListener("close", () => (seen.closed = true));
  return seen;
}

let ids = 0;

async function send(channel: ConfirmChannel, letter: AmqpLetter, signal: AbortSignal): Promise<void> {
  const { exchange, routingKey, body, properties } = letter;
  const seen = watch(channel);
  const id = ++ids;
  // A message that no queue gets is given back, and confirmed all the same; it is known again by this header.
  const headers = { ...(properties.headers as object), publish_id: id };
  const options = { ...properties, headers, mandatory: true, persistent: true };
  await new Promise<void>((resolve, reject) => {
    const giveUp = () => reject(new Error("not confirmed in time"));
    signal.addEventListener("abort", giveUp);
    channel.publish(exchange, routingKey, body, options, (error: Error | null) => {
      signal.removeEventListener("abort", giveUp);
      if (seen.returned.delete(id)) {
        reject(new Unroutable(`RabbitMQ has no queue for what "${exchange}" gets with the key "${routingKey}"`));
      } else if (error === null) resolve();
      else reject(seen.closedOver === undefined ? error : new Suspect(seen.closedOver.message));
    });
  });
}
