import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { giveKeys } from "../../localstack/functions/first-keys.ts";
import { keyFile, readKey, signingSecret } from "../../localstack/parts/keys.ts";
import { freePort } from "../../localstack/parts/ports.ts";
import type { OwnBroker } from "../../tests/support/queues/rabbitmq.ts";
import type { ClientCall, History } from "../history/history.ts";
import { openJournal } from "../history/journal.ts";
import { type Api, Client } from "../load/client.ts";
import type { Edit } from "../planted/edits.ts";
import type { HurtProcess, Watch } from "../processes/process.ts";
import type { Sandbox } from "../processes/sandbox.ts";
import { type QueueCall, type QueueProxy, startQueueProxy } from "../ways/queue-proxy.ts";
import { type SecretServer, startSecretServer } from "../ways/secret-server.ts";
import { sentIn } from "../ways/sent.ts";
import { AGENTS, Database, FIRST_PASSWORD, QueueServer } from "./backing.ts";
import { startBroker } from "./broker.ts";
import { Cloud, type SandboxName } from "./cloud.ts";
import { type AgentProcess, type Around, startAgents, startBridge, startSandboxes } from "./programs.ts";

/** Everything of one run that a fault can reach. */
export type World = {
  dir: string;
  database: Database;
  queues: QueueServer;
  /** The environment that names the queues. */
  environment: Record<string, string>;
  sandboxes: Record<SandboxName, Sandbox>;
  /** The way of the event source mappings to SQS. */
  mapping: QueueProxy;
  cloud: Cloud;
  agents: AgentProcess[];
  /** Where the functions ask for the database's password. */
  secret: SecretServer;
  /** Where agents speak AMQP: the broker, and the bridge between it and SQS. */
  broker: OwnBroker | undefined;
  bridge: HurtProcess | undefined;
  /** What faults and processes write down. */
  noted: Pick<History, "hurt" | "crashes" | "sent" | "poison" | "forged">;
  /** The HTTP API, for the harness itself. */
  api: Api;
  /** Who submits work, and writes down what is promised. */
  client: Client;
  /** What ends its parts, the last first. */
  stops: (() => Promise<unknown>)[];
  stop: () => Promise<void>;
};

export type WorldOptions = {
  /** The folder of its data, its journals and its logs. */
  dir: string;
  /** A database that makeTemplate has made. */
  template: string;
  /** The sources of the functions. */
  root: string;
  /** Functions that run from other sources. */
  old?: { root: string; sandboxes: readonly SandboxName[] } | undefined;
  edits: readonly Edit[];
  /** Whether the agents speak AMQP to a RabbitMQ of the run's own. */
  broker: boolean;
};

/** Starts all that one run needs, with data of its own; nothing is left running where it throws. */
export async function startWorld(options: WorldOptions): Promise<World> {
  const stops: World["stops"] = [];
  const stop = async () => {
    for (const one of stops.splice(0).toReversed()) await one().catch((error: unknown) => console.error(error));
  };
  try {
    return { ...(await parts(options, stops)), stops, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function parts(options: WorldOptions, stops: World["stops"]): Promise<Omit<World, "stops" | "stop">> {
  const { dir } = options;
  mkdirSync(join(dir, "logs"), { recursive: true });
  const noted: World["noted"] = { hurt: [], crashes: [], sent: [], poison: [], forged: [] };
  const watch: Watch = {
    hurt: (pid, how) => noted.hurt.push({ pid, how, at: Date.now() }),
    crashed: (name, how, said) => noted.crashes.push({ name, how, said }),
  };
  const log = (name: string) => join(dir, "logs", `${name}.log`);
  const stopping = <T>(part: T, end: () => Promise<unknown>): T => {
    stops.push(end);
    return part;
  };

  execFileSync("cp", ["-a", options.template, join(dir, "postgres")]);
  const database = new Database(join(dir, "postgres"), await freePort(), log("postgres"));
  stopping(database, async () => await database.stop("fast"));
  const queues = new QueueServer(join(dir, "sqs"), await freePort(), log("sqs"), watch);
  stopping(queues, async () => await queues.process.stop(1_000));
  await Promise.all([database.start(), queues.start()]);
  await giveKeys(dir, AGENTS, { DATABASE_URL: database.url });
  const environment = { ...ACCESS, ...(await queues.makeQueues()) };
  const secret = await startSecretServer(FIRST_PASSWORD);
  stopping(secret, secret.close);

  const seen = (call: QueueCall) => noted.sent.push(...sentIn(call, Date.now()));
  const way = async (by: string) => {
    const proxy = await startQueueProxy(by, () => queues.endpoint, seen);
    return stopping(proxy, proxy.close);
  };
  const around: Around = { ...options, environment, database, secret, way, log, watch, stopping };
  // The functions' alone: with it an agent could say what the control plane says.
  const functions = { ...environment, SIGNING_SECRET: signingSecret(dir) };
  const sandboxes = await startSandboxes({ ...around, environment: functions });
  const mapping = await way("mapping");
  const cloud = new Cloud(options.root, sandboxes, mapping);
  stopping(cloud, async () => await cloud.stop());
  await cloud.start();

  const broker = options.broker ? await startBroker() : undefined;
  if (broker !== undefined) stopping(broker, broker.stop);
  const bridge = broker === undefined ? undefined : await startBridge(around, broker);
  const agents = await startAgents(around, cloud.url, broker);
  const api = { url: cloud.url, key: readKey(keyFile(dir)) ?? "" };
  const client = new Client(api, openJournal<ClientCall>(join(dir, "calls.jsonl")));
  const broken = { database, queues, environment, sandboxes, mapping, cloud, agents, secret, broker, bridge, api };
  return { dir, ...broken, noted, client };
}

const ACCESS = {
  AWS_ACCESS_KEY_ID: "local",
  AWS_SECRET_ACCESS_KEY: "local",
  AWS_REGION: "eu-central-1",
  LOG_LEVEL: "info",
  NO_COLOR: "1",
};
