import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { SetQueueAttributesCommand } from "@aws-sdk/client-sqs";
import { freePort } from "../../localstack/parts/ports.ts";
import type { ClientCall, History } from "../history/history.ts";
import { openJournal } from "../history/journal.ts";
import { Client } from "../load/client.ts";
import type { Dice } from "../load/dice.ts";
import type { Edit } from "../planted/edits.ts";
import { SHORTENED } from "../planted/shortened.ts";
import { HurtProcess, type Watch } from "../processes/process.ts";
import { Sandbox } from "../processes/sandbox.ts";
import { startDatabaseProxy } from "../ways/database-proxy.ts";
import { type QueueCall, type QueueProxy, startQueueProxy } from "../ways/queue-proxy.ts";
import { sentIn } from "../ways/sent.ts";
import { AGENTS, Database, QueueServer } from "./backing.ts";
import { Cloud, SANDBOXES, type SandboxName } from "./cloud.ts";

/** A process of an agent, with its own way to SQS. */
export type AgentProcess = { agent: string; process: HurtProcess; queues: QueueProxy };

/** Everything of one run that a fault can reach. */
export type World = {
  dir: string;
  dice: Dice;
  database: Database;
  queues: QueueServer;
  /** The environment that names the queues. */
  environment: Record<string, string>;
  sandboxes: Record<SandboxName, Sandbox>;
  /** The way of the event source mappings to SQS. */
  mapping: QueueProxy;
  cloud: Cloud;
  agents: AgentProcess[];
  /** What faults and processes write down. */
  noted: Pick<History, "hurt" | "crashes" | "sent" | "poison" | "forged">;
  /** Who submits work, and writes down what is promised. */
  client: Client;
  /** What ends its parts, the last first. */
  stops: (() => Promise<unknown>)[];
  stop: () => Promise<void>;
};

export type WorldOptions = {
  dir: string;
  /** A database that makeTemplate has made. */
  template: string;
  /** The sources of the functions. */
  root: string;
  /** Where other functions than those of `root` run their sources from. */
  old?: { root: string; sandboxes: readonly SandboxName[] } | undefined;
  dice: Dice;
  edits: readonly Edit[];
};

/** How many processes an agent has. */
const PROCESSES: Record<(typeof AGENTS)[number], number> = { mason: 3, clerk: 1 };

/** Short, so that what is counted in leases is over in seconds. */
const SHORT = { LEASE_SECONDS: "4", PICKUP_SECONDS: "8" };
const VISIBILITY_SECONDS = "10";

/** Starts all that one run needs, with data of its own; nothing is left running where it throws. */
export async function startWorld(options: WorldOptions): Promise<World> {
  const { dir, dice } = options;
  mkdirSync(join(dir, "logs"), { recursive: true });
  const noted: World["noted"] = { hurt: [], crashes: [], sent: [], poison: [], forged: [] };
  const watch: Watch = {
    hurt: (pid, how) => noted.hurt.push({ pid, how, at: Date.now() }),
    crashed: (name, how, said) => noted.crashes.push({ name, how, said }),
  };
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const one of stops.splice(0).toReversed()) await one().catch((error: unknown) => console.error(error));
  };
  const log = (name: string) => join(dir, "logs", `${name}.log`);
  try {
    execFileSync("cp", ["-a", options.template, join(dir, "postgres")]);
    const database = new Database(join(dir, "postgres"), await freePort(), log("postgres"));
    stops.push(async () => await database.stop("fast"));
    const queues = new QueueServer(join(dir, "sqs"), await freePort(), log("sqs"), watch);
    stops.push(async () => await queues.process.stop(1_000));
    await Promise.all([database.start(), queues.start()]);
    const environment = { ...access(), ...(await queues.makeQueues()) };
    await shortenVisibility(queues, environment);

    const seen = (call: QueueCall) => noted.sent.push(...sentIn(call, Date.now()));
    const way = async (by: string) => {
      const proxy = await startQueueProxy(by, () => queues.endpoint, seen);
      stops.push(proxy.close);
      return proxy;
    };
    const sandbox = async (name: SandboxName) => {
      const root = options.old?.sandboxes.includes(name) === true ? options.old.root : options.root;
      const env = { ...environment, ...SHORT, ...edits(root, options.edits), AGENT_QUEUE_PREFIX: "waybill" };
      const made = new Sandbox(
        { name, env, logFile: log(name), watch },
        await startDatabaseProxy(database.url),
        await way(name),
      );
      stops.push(async () => await made.close());
      return [name, made] as const;
    };
    const made = await Promise.all(SANDBOXES.map(sandbox));
    const sandboxes = Object.fromEntries(made) as Record<SandboxName, Sandbox>;
    const mapping = await way("mapping");
    const cloud = new Cloud(options.root, sandboxes, mapping);
    stops.push(async () => await cloud.stop());
    await cloud.start();

    const urls = JSON.parse(environment["AGENT_QUEUES"] ?? "{}") as Record<string, string>;
    const agents = AGENTS.flatMap((agent) => Array.from({ length: PROCESSES[agent] }, (_, at) => ({ agent, at })));
    const processes = await Promise.all(
      agents.map(async ({ agent, at }) => {
        const name = `${agent}-${at + 1}`;
        const proxy = await way(name);
        const env = {
          ...environment,
          ...edits(options.root, options.edits),
          AWS_ENDPOINT_URL_SQS: proxy.endpoint,
          WAYBILL_API_URL: cloud.url,
          AGENT_QUEUE_URL: urls[agent] ?? "",
          WAYBILL_AGENT_DATA: join(dir, "agents", name),
          AGENT_VISIBILITY_SECONDS: "3",
          AGENT_POLL_SECONDS: "1",
          AGENT_GRACE_SECONDS: "2",
          CHAOS_AGENT: agent,
          CHAOS_EFFECTS: join(dir, "effects.jsonl"),
        };
        const process = new HurtProcess({
          name,
          file: "chaos/processes/agent-main.ts",
          env,
          logFile: log(name),
          watch,
        });
        process.start();
        return { agent, process, queues: proxy };
      }),
    );
    stops.push(async () => await Promise.all(processes.map(({ process }) => process.stop(4_000))));
    const client = new Client(cloud.url, openJournal<ClientCall>(join(dir, "calls.jsonl")));
    const parts = { database, queues, environment, sandboxes, mapping, cloud, agents: processes, noted, client };
    return { dir, dice, ...parts, stops, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function access(): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
    AWS_REGION: "eu-central-1",
    LOG_LEVEL: "info",
    NO_COLOR: "1",
  };
}

function edits(root: string, planted: readonly Edit[]): Record<string, string> {
  return { CHAOS_ROOT: root, CHAOS_EDITS: JSON.stringify([...SHORTENED, ...planted]) };
}

/** As AWS asks, a queue's visibility is six times its function's timeout: here nobody waits three minutes for what a crash held. */
async function shortenVisibility({ sqs }: QueueServer, environment: Record<string, string>): Promise<void> {
  const Attributes = { VisibilityTimeout: VISIBILITY_SECONDS };
  for (const name of ["WORK_QUEUE_URL", "RESULTS_QUEUE_URL"]) {
    await sqs.send(new SetQueueAttributesCommand({ QueueUrl: environment[name], Attributes }));
  }
}

/** Makes the queues of a world anew, as after everything in SQS is lost. */
export async function remakeQueues(world: World): Promise<void> {
  await world.queues.makeQueues();
  await shortenVisibility(world.queues, world.environment);
}
