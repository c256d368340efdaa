import { setTimeout as sleep } from "node:timers/promises";
import type { ConfirmChannel } from "amqplib";
import type { Message } from "../../protocol/messages.ts";
import { describeLink } from "./amqp-link.ts";
import { declareTopology } from "./amqp-topology.ts";
import type { Letter, Transport } from "./transport.ts";

/** Publishes over a connection of its own, opened when it is first needed. */
export type Publisher = {
  /** Answers the ids that the broker has on disk, in a queue; never throws. */
  publish: (letters: Letter[], to: { exchange: string; key: string }) => ReturnType<Transport["send"]>;
  close: () => Promise<void>;
};

/** A connection that has not confirmed by then is given up, or what is tried again would pile up before it. */
const CONFIRM_MS = 5000;

/** Describes a publisher; `name` is what the broker's lists call its connection. */
export function describePublisher(url: string, prefix: string, name: string): Publisher {
  const returned = new Set<string>();
  const link = describeLink<ConfirmChannel>({
    url,
    name,
    create: (connection) => connection.createConfirmChannel(),
    prepare: async (channel, connection) => {
      await declareTopology(connection, [], prefix);
      returned.clear();
      // Comes before the confirm of the same message.
      channel.on("return", ({ properties }) => returned.add(String(properties.messageId)));
    },
  });

  const one = async (channel: ConfirmChannel, body: string, { exchange, key }: { exchange: string; key: string }) => {
    const properties = propertiesOf(body);
    await new Promise<void>((resolve, reject) => {
      const confirmed = (error: Error | null) => (error === null ? resolve() : reject(error));
      channel.publish(exchange, key, Buffer.from(body), properties, confirmed);
    });
    if (returned.delete(properties.messageId)) {
      // A queue was removed behind our back: a new connection declares it again.
      link.drop();
      throw new Error(`RabbitMQ has no queue for what is published to "${exchange}" with the key "${key}"`);
    }
  };

  return {
    publish: async (letters, to) => {
      const sent: string[] = [];
      const limit = new AbortController();
      let error: unknown;
      const all = async () => {
        const channel = await link.channel();
        const each = letters.map(async ({ id, body }) => {
          try {
            await one(channel, body, to);
            sent.push(id);
          } catch (reason) {
            error = reason;
          }
        });
        await Promise.all(each);
      };
      const late = async () => {
        await sleep(CONFIRM_MS, undefined, { signal: limit.signal });
        link.drop();
        throw new Error(`RabbitMQ has not confirmed within ${CONFIRM_MS / 1000} s`);
      };
      try {
        await Promise.race([all(), late()]);
      } catch (reason) {
        error = reason;
      } finally {
        limit.abort();
      }
      return error === undefined ? { sent } : { sent: [...sent], error };
    },
    close: () => link.close(),
  };
}

/** What a broker's tools show of a message; the body alone is what counts. */
function propertiesOf(body: string) {
  const { message_id, trace_id, type, timestamp } = JSON.parse(body) as Message;
  return {
    mandatory: true,
    persistent: true,
    contentType: "application/json",
    contentEncoding: "utf-8",
    messageId: message_id,
    correlationId: trace_id,
    headers: { trace_id },
    type,
    // AMQP counts in seconds.
    timestamp: Math.floor(Date.parse(timestamp) / 1000),
  };
}
