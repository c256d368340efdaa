import { join } from "node:path";
import { keyFile, readKey } from "../../localstack/parts/keys.ts";
import type { OwnBroker } from "../../tests/support/queues/rabbitmq.ts";
import type { Edit } from "../planted/edits.ts";
import { SHORTENED } from "../planted/shortened.ts";
import { HurtProcess, type Watch } from "../processes/process.ts";
import { Sandbox } from "../processes/sandbox.ts";
import { startDatabaseProxy } from "../ways/database-proxy.ts";
import type { QueueProxy } from "../ways/queue-proxy.ts";
import { SECRET_ARN, type SecretServer } from "../ways/secret-server.ts";
import { AGENTS, type Database } from "./backing.ts";
import { SANDBOXES, type SandboxName } from "./cloud.ts";

/** A process of an agent, with its own way to SQS. */
export type AgentProcess = { agent: string; process: HurtProcess; queues: QueueProxy };

/** What the programs of a world have around them. */
export type Around = {
  dir: string;
  root: string;
  old?: { root: string; sandboxes: readonly SandboxName[] } | undefined;
  edits: readonly Edit[];
  environment: Record<string, string>;
  database: Database;
  secret: SecretServer;
  /** A way to SQS for a process of this name. */
  way: (by: string) => Promise<QueueProxy>;
  log: (name: string) => string;
  watch: Watch;
  /** Has a part ended with the world, and answers it. */
  stopping: <T>(part: T, end: () => Promise<unknown>) => T;
};

/** How many processes an agent has. */
const PROCESSES: Record<(typeof AGENTS)[number], number> = { mason: 3, clerk: 1 };

/** Short, so that what is counted in leases is over in seconds. */
const SHORT = { LEASE_SECONDS: "4", PICKUP_SECONDS: "20" };

/** The functions, each in its sandbox; their processes start with the first call. */
export async function startSandboxes(around: Around): Promise<Record<SandboxName, Sandbox>> {
  const { environment, database, secret, way, log, watch, stopping, old } = around;
  const start = async (name: SandboxName) => {
    const root = old?.sandboxes.includes(name) === true ? old.root : around.root;
    const env = {
      ...environment,
      ...SHORT,
      ...edited(root, around.edits),
      DATABASE_SECRET_ARN: SECRET_ARN,
      AWS_ENDPOINT_URL_SECRETS_MANAGER: secret.endpoint,
    };
    const ways = [await startDatabaseProxy(database.url), await way(name)] as const;
    const sandbox = new Sandbox({ name, env, logFile: log(name), watch }, ...ways);
    return [name, stopping(sandbox, async () => await sandbox.close())] as const;
  };
  const all = await Promise.all(SANDBOXES.map(start));
  return Object.fromEntries(all) as Record<SandboxName, Sandbox>;
}

/** The agents' processes, over SQS, or over AMQP where there is a broker. */
export async function startAgents(around: Around, api: string, broker?: OwnBroker): Promise<AgentProcess[]> {
  const { environment, way, log, watch, stopping, dir } = around;
  const urls = JSON.parse(environment["AGENT_QUEUES"] ?? "{}") as Record<string, string>;
  const all = AGENTS.flatMap((agent) => Array.from({ length: PROCESSES[agent] }, (_, at) => `${agent}-${at + 1}`));
  return await Promise.all(
    all.map(async (name) => {
      const [agent = ""] = name.split("-");
      const queues = await way(name);
      const env = {
        ...environment,
        ...edited(around.root, around.edits),
        ...(broker === undefined ? {} : { AGENT_TRANSPORT: "amqp", ...named(broker) }),
        AWS_ENDPOINT_URL_SQS: queues.endpoint,
        WAYBILL_API_URL: api,
        WAYBILL_API_KEY: readKey(keyFile(dir, agent)) ?? "",
        AGENT_QUEUE_URL: urls[agent] ?? "",
        WAYBILL_AGENT_DATA: join(dir, "agents", name),
        AGENT_VISIBILITY_SECONDS: "3",
        AGENT_POLL_SECONDS: "1",
        AGENT_GRACE_SECONDS: "2",
        CHAOS_AGENT: agent,
        CHAOS_EFFECTS: join(dir, "effects.jsonl"),
      };
      const file = "chaos/processes/agent-main.ts";
      const process = new HurtProcess({ name, file, env, logFile: log(name), watch });
      process.start();
      return stopping({ agent, process, queues }, async () => await process.stop(4_000));
    }),
  );
}

/** The bridge between SQS and the broker. */
export async function startBridge(around: Around, broker: OwnBroker): Promise<HurtProcess> {
  const { environment, way, log, watch, stopping } = around;
  const env = {
    ...environment,
    ...edited(around.root, []),
    ...named(broker),
    AWS_ENDPOINT_URL_SQS: (await way("bridge")).endpoint,
    BRIDGE_PORT: "0",
    BRIDGE_POLL_SECONDS: "1",
    BRIDGE_VISIBILITY_SECONDS: "3",
    BRIDGE_GRACE_SECONDS: "2",
  };
  const file = "localstack/bridge/main.ts";
  const process = new HurtProcess({ name: "bridge", file, env, logFile: log("bridge"), watch });
  process.start();
  return stopping(process, async () => await process.stop(4_000));
}

function named({ url }: OwnBroker): Record<string, string> {
  return { RABBITMQ_URL: url, RABBITMQ_PREFIX: "chaos." };
}

function edited(root: string, planted: readonly Edit[]): Record<string, string> {
  return { CHAOS_ROOT: root, CHAOS_EDITS: JSON.stringify([...SHORTENED, ...planted]) };
}
