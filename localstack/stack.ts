import { existsSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { wrongSettings } from "./check-settings.ts";
import type { Ready, Report } from "./functions/local-cloud.ts";
import { type Agents, startAgents } from "./parts/agent-processes.ts";
import { takeDataDir } from "./parts/data-dir.ts";
import { keyFile, readKey } from "./parts/keys.ts";
import { freePort, tryPort } from "./parts/ports.ts";
import { stopLeftoverPostgres } from "./parts/postgres.ts";
import type { Broker } from "./parts/rabbitmq.ts";
import { leaveShell } from "./parts/shell.ts";
import { describeEnding, type Started, start } from "./processes/program.ts";

/** The project's own folder, wherever it was started from. */
export const ROOT = join(import.meta.dirname, "..");

/** What a stack tells while it runs. */
export type StackEvents = {
  /** A line that the functions or an agent printed. */
  onLine?: (source: string, line: string) => void;
  /** That an agent, or the bridge, ended by itself, and the last that it said. */
  onCrash?: (agent: string, how: string, waitMs: number, said: string) => void;
};

export type Stack = {
  url: string;
  environment: Record<string, string>;
  /** The first owner's, and whether it was made just now. */
  key: string;
  newKey: boolean;
  agents: Agents | undefined;
  /** The variables of the shell that it was kept from. */
  leftOut: string[];
  /** Settles when the stack has ended by itself, with the reason. */
  failed: Promise<Error>;
  stop: () => Promise<void>;
  /** After stopping: the processes and ports that are still there. */
  left: () => Promise<string[]>;
};

export type StackOptions = StackEvents & {
  port: number;
  dataDir: string;
  agents: boolean;
  /** Where given, agents speak AMQP to it, and a bridge runs. */
  broker?: Broker | undefined;
  signal?: AbortSignal;
};

/** Longest that the functions, SQS and Postgres may take to stop, once the agents and the bridge have had their grace. */
const STOP_MS = 6000;

/**
 * Starts `serverless offline` with everything around it and the example agents, and answers when it serves. Throws with what
 * to do where it cannot; nothing is left running then.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const leftOut = leaveShell();
  await check(options);
  const cloud = await startFunctions(options);
  const { ready, ended } = listenTo(cloud);
  const outcome = await Promise.race([ready, ended, aborted(options.signal)]);
  if (outcome instanceof Error) {
    await stopAll(options.dataDir, cloud);
    throw outcome;
  }
  const { url, environment, newKey } = outcome;
  const key = readKey(keyFile(options.dataDir)) ?? "";
  const broken = new Set<string>();
  const agents = startPrograms(options, outcome, broken);
  const stop = async () => await stopAll(options.dataDir, cloud, agents);
  try {
    while (!(await healthy(url))) {
      if (cloud.hasEnded()) throw await ended;
      options.signal?.throwIfAborted();
      await sleep(50);
    }
    const names = Object.keys(agents?.pids() ?? {}).filter((name) => name !== "bridge");
    await Promise.all(names.map(async (name) => await heardOf({ url, key }, name, broken, options.signal)));
  } catch (error) {
    await stop();
    throw error;
  }
  const pids = [cloud.pid, ...Object.values(agents?.pids() ?? {})];
  const ports = [url, environment["DATABASE_URL"], environment["AWS_ENDPOINT_URL_SQS"]].map(portOf);
  return {
    url,
    environment,
    key,
    newKey,
    agents,
    leftOut,
    failed: ended,
    stop,
    left: async () => await leftOf(pids, ports),
  };
}

const SERVERLESS = join(ROOT, "node_modules", "serverless", "bin", "serverless.js");

/** Throws, with what to do, where the packages, a setting, the data directory or the port is not right for this stack. */
async function check({ port, dataDir }: StackOptions): Promise<void> {
  if (!existsSync(SERVERLESS)) throw new Error("The project's packages are not installed. Run: npm ci");
  const wrong = wrongSettings(ROOT);
  if (wrong.length > 0) {
    const what = wrong.length === 1 ? "a setting is" : `${wrong.length} settings are`;
    throw new Error(`Nothing was started: ${what} not right (docs/configuration.md).\n  ${wrong.join("\n  ")}`);
  }
  // Asked here too, so that a second start is refused at once; the stack itself takes it for good.
  takeDataDir(dataDir).release();
  checkSpace(dataDir);
  if ((await tryPort(port)) === undefined) {
    throw new Error(`Port ${port} is taken. Start with another one: npm start -- --port ${port + 1}`);
  }
}

/** What a start writes, with something to work in: a new database and the built functions, or the latter alone. */
const NEW_MB = 200;
const AGAIN_MB = 50;

/** Throws where there is too little space for the data: what then fails halfway would say so in its own words, or not at all. */
export function checkSpace(dataDir: string, free = freeMegabytes(dataDir)): void {
  const needed = existsSync(join(dataDir, "postgres")) ? AGAIN_MB : NEW_MB;
  if (free >= needed) return;
  throw new Error(
    `There is too little space in ${dataDir}: ${free} MB are free, and a start needs ${needed} MB. ` +
      `See what takes it (df -h ${dataDir}), make room, or name another folder: WAYBILL_DATA=FOLDER npm start`,
  );
}

function freeMegabytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return Math.floor((bavail * bsize) / 1_000_000);
}

async function startFunctions({ port, dataDir, onLine }: StackOptions): Promise<Started> {
  const lambdaPort = String(await freePort());
  return start({
    command: process.execPath,
    args: [SERVERLESS, "offline", "start", "--httpPort", String(port), "--lambdaPort", lambdaPort],
    cwd: ROOT,
    env: { ...process.env, WAYBILL_DATA: dataDir, NO_COLOR: "1" },
    channel: true,
    logFile: join(dataDir, "logs", "functions.log"),
    onLine: (line) => onLine?.("functions", line),
  });
}

/** What the functions' process says: that it is ready, or why it ended. */
function listenTo(cloud: Started): { ready: Promise<Ready>; ended: Promise<Error> } {
  const ready = Promise.withResolvers<Ready>();
  const failed = Promise.withResolvers<Error>();
  const over = async () => {
    const ending = await cloud.ended;
    failed.resolve(new Error(`The stack ended (${describeEnding(ending)}). Its last lines:\n${cloud.tail()}`));
  };
  cloud.onMessage((message) => {
    const report = message as Report;
    if ("ready" in report) ready.resolve(report.ready);
    else if ("failed" in report) failed.resolve(new Error(report.failed));
  });
  void over();
  return { ready: ready.promise, ended: failed.promise };
}

/** The agents first: they hand back what they have. */
async function stopAll(dataDir: string, cloud: Started, agents?: Agents): Promise<void> {
  await agents?.stop();
  await cloud.stop({ graceMs: STOP_MS });
  await stopLeftoverPostgres(join(dataDir, "postgres"));
}

async function aborted(signal: AbortSignal | undefined): Promise<Error> {
  return await new Promise((resolve) => {
    signal?.addEventListener("abort", () => resolve(new Error("Stopped while it was starting.")));
  });
}

/** The agents and the bridge, as far as they are wanted; `broken` gets the names of those that end by themselves. */
function startPrograms(options: StackOptions, { url, environment }: Ready, broken: Set<string>): Agents | undefined {
  const { dataDir, agents, broker, onLine = () => {}, onCrash = () => {} } = options;
  if (!agents && broker === undefined) return undefined;
  return startAgents({
    root: ROOT,
    dataDir,
    environment: { WAYBILL_API_URL: url, ...environment },
    agents,
    broker,
    onLine,
    onCrash: (name, ...how) => {
      broken.add(name);
      onCrash(name, ...how);
    },
  });
}

/** An agent that takes longer to say that it is there gets its work when it does. */
const HEARD_MS = 15_000;

/** Waits until an agent has said that it is there: what is submitted before has to wait for a sweep. */
async function heardOf(
  api: Pick<Stack, "url" | "key">,
  name: string,
  broken: Set<string>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const until = performance.now() + HEARD_MS;
  while (performance.now() < until && !broken.has(name)) {
    signal?.throwIfAborted();
    if (await isPresent(api, name)) return;
    await sleep(100);
  }
}

async function isPresent({ url, key }: Pick<Stack, "url" | "key">, name: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/agents/${name}`, { headers: { authorization: `Bearer ${key}` } });
    const { presence } = (await answer.json()) as { presence?: { present: boolean } };
    return presence?.present === true;
  } catch {
    return false;
  }
}

async function leftOf(pids: (number | undefined)[], ports: number[]): Promise<string[]> {
  const alive = pids.filter((pid) => pid !== undefined && isAlive(pid)).map((pid) => `process ${pid}`);
  const taken: string[] = [];
  for (const port of ports) if (port > 0 && (await tryPort(port)) === undefined) taken.push(`port ${port}`);
  return [...alive, ...taken];
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function portOf(url: string | undefined): number {
  return url === undefined ? 0 : Number(new URL(url).port);
}

async function healthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`)).ok;
  } catch {
    return false;
  }
}
