import type { ConfirmChannel } from "amqplib";
import { within } from "../../time.ts";
import { Link } from "./amqp-link.ts";
import { propertiesOf } from "./amqp-properties.ts";
import { publisherOver } from "./amqp-publisher.ts";
import { declareTopology } from "./amqp-topology.ts";
import type { Letter, Transport } from "./transport.ts";

/** Sends over a connection of its own, opened when it is first needed. */
export type Sending = {
  /** Answers the ids that the broker has on disk, in a queue; never throws. */
  send: (letters: Letter[], to: { exchange: string; key: string }) => ReturnType<Transport["send"]>;
  close: () => Promise<void>;
};

/** A connection that has not confirmed by then is given up, or what is tried again would pile up before it. */
const CONFIRM_MS = 5000;

/** Describes how an agent sends; `name` is what the broker's lists call its connection. Nothing is opened yet. */
export function describeSending(url: string, prefix: string, name: string): Sending {
  const link = new Link<ConfirmChannel>({
    url,
    name,
    create: (connection) => connection.createConfirmChannel(),
    prepare: async (_, connection) => void (await declareTopology(connection, [], prefix)),
  });
  const publish = publisherOver({ opened: () => link.opened(), renew: () => link.drop() });

  return {
    send: async (letters, { exchange, key: routingKey }) => {
      const over = new AbortController();
      const sent: string[] = [];
      const failed: unknown[] = [];
      const sendOne = async ({ id, body }: Letter) => {
        try {
          const letter = { exchange, routingKey, body: Buffer.from(body), properties: propertiesOf(body) };
          await publish(letter, over.signal);
          sent.push(id);
        } catch (error) {
          failed.push(error);
        }
      };
      const late = () => {
        link.drop();
        over.abort();
        failed.push(new Error(`RabbitMQ has not confirmed within ${CONFIRM_MS / 1000} s`));
      };
      await within(CONFIRM_MS, Promise.all(letters.map(sendOne)), late);
      const [error] = failed;
      return error === undefined ? { sent: [...sent] } : { sent: [...sent], error };
    },
    close: () => link.close(),
  };
}
