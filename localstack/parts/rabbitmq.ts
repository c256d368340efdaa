import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { connect } from "amqplib";
import { deleteTopology } from "../../lib/agent-kit/transports/amqp-topology.ts";
import { WrongUse } from "../../lib/terminal/command.ts";
import { AGENTS } from "./queues.ts";

/** A broker and what the names on it begin with. */
export type Broker = { url: string; prefix: string };

const DEFAULT_URL = "amqp://guest:guest@127.0.0.1:5672";

/** Whether `--queue` asks for RabbitMQ; throws WrongUse where it asks for what there is not. */
export function readQueue(name: string): boolean {
  if (name !== "sqs" && name !== "rabbitmq") {
    throw new WrongUse(`--queue must be sqs or rabbitmq, not ${JSON.stringify(name)}`);
  }
  return name === "rabbitmq";
}

/** The broker as it may be printed, with what an agent from elsewhere needs to find its queue there. */
export function shown({ url, prefix }: Broker): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}${prefix && ` (agents of yours need RABBITMQ_PREFIX=${prefix})`}`;
}

/**
 * What names on the broker begin with where nothing is said, the same at every start over a folder: two stacks that share their
 * names would take each other's work and results.
 */
function defaultPrefix(dataDir: string): string {
  return `${createHash("sha256").update(resolve(dataDir)).digest("hex").slice(0, 8)}.`;
}

/**
 * The broker of RABBITMQ_URL, and RABBITMQ_PREFIX or one made of the stack's folder. Throws with the command that helps where
 * none answers.
 */
export async function findBroker(dataDir: string, source: NodeJS.ProcessEnv = process.env): Promise<Broker> {
  const prefix = source["RABBITMQ_PREFIX"] ?? defaultPrefix(dataDir);
  const broker = { url: source["RABBITMQ_URL"] || DEFAULT_URL, prefix };
  if (!/^amqps?:\/\/[^/]/.test(broker.url)) {
    throw new Error("RABBITMQ_URL must be the broker's URL, such as amqp://user:password@host:5672");
  }
  const where = shown({ ...broker, prefix: "" });
  try {
    const connection = await connect(broker.url, { timeout: 5000 });
    await connection.close();
    return broker;
  } catch (cause) {
    if ((cause as Error).message?.includes("ACCESS_REFUSED")) {
      throw new Error(`RabbitMQ at ${where} refuses the login. Look at user and password in RABBITMQ_URL.`, {
        cause,
      });
    }
    throw new Error(
      `RabbitMQ does not answer at ${where} (${(cause as Error).message || (cause as { code?: string }).code}).\n` +
        "Start one here, or name another by RABBITMQ_URL:\n" +
        "  docker compose up --detach --wait rabbitmq\n" +
        "  RABBITMQ_URL=amqp://waybill:waybill@127.0.0.1:5673 npm start -- --queue rabbitmq",
      { cause },
    );
  }
}

/** Removes the queues and exchanges that begin with the broker's prefix, with all that is on them. */
export async function clearBroker({ url, prefix }: Broker): Promise<void> {
  const connection = await connect(url, { timeout: 5000 });
  try {
    await deleteTopology(connection, AGENTS, prefix);
  } finally {
    await connection.close();
  }
}
