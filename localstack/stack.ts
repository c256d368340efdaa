import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Report } from "./functions/offline.ts";
import { type Agents, type Broker, startAgents } from "./parts/agents.ts";
import { takeDataDir } from "./parts/data-dir.ts";
import { freePort, tryPort } from "./parts/ports.ts";
import { stopLeftoverPostgres } from "./parts/postgres.ts";
import { hasEnded, startProgram, stopProgram } from "./processes/child.ts";

/** The project's own folder, wherever it was started from. */
export const ROOT = join(import.meta.dirname, "..");

/** What a stack tells while it runs. */
export type StackEvents = {
  /** A line that the functions or an agent printed. */
  onLine?: (source: string, line: string) => void;
  onCrash?: (agent: string, how: string, waitMs: number) => void;
};

export type Stack = {
  url: string;
  environment: Record<string, string>;
  agents: Agents | undefined;
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

/** Longest that the functions, SQS and Postgres may take to stop; with the agents' three seconds that is under ten. */
const STOP_MS = 6000;

/**
 * Starts `serverless offline` with everything around it and the example agents, and answers when it serves. Throws with what
 * to do where it cannot; nothing is left running then.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { port, dataDir } = options;
  const program = join(ROOT, "node_modules", "serverless", "bin", "serverless.js");
  if (!existsSync(program)) throw new Error("The project's packages are not installed. Run: npm ci");
  // Asked here too, so that a second start is refused at once; the stack itself takes it for good.
  takeDataDir(dataDir).release();
  if ((await tryPort(port)) === undefined) {
    throw new Error(`Port ${port} is taken. Start with another one: npm start -- --port ${port + 1}`);
  }
  const tail: string[] = [];
  const logFile = join(dataDir, "logs", "functions.log");
  const child = startProgram({
    args: [program, "offline", "start", "--httpPort", String(port), "--lambdaPort", String(await freePort())],
    cwd: ROOT,
    env: { ...process.env, WAYBILL_DATA: dataDir },
    logFile,
    onLine: (line) => {
      tail.splice(0, tail.length - 15, line);
      options.onLine?.("functions", line);
    },
  });
  let agents: Agents | undefined;
  const stop = async () => {
    await agents?.stop();
    await stopProgram(child, STOP_MS);
    await stopLeftoverPostgres(join(dataDir, "postgres"));
  };
  const ended = new Promise<Error>((resolve) => {
    child.once("close", (code, signal) => {
      resolve(new Error(`The stack ended (${signal ?? `exit code ${code}`}). Its last lines:\n${tail.join("\n")}`));
    });
    child.on("message", (report: Report) => "failed" in report && resolve(new Error(report.failed)));
  });
  const ready = new Promise<Extract<Report, { ready: unknown }>["ready"]>((resolve) => {
    child.on("message", (report: Report) => "ready" in report && resolve(report.ready));
  });
  const aborted = new Promise<Error>((resolve) => {
    options.signal?.addEventListener("abort", () => resolve(new Error("Stopped while it was starting.")));
  });
  const outcome = await Promise.race([ready, ended, aborted]);
  if (outcome instanceof Error) {
    await stop();
    throw outcome;
  }
  const { url, environment } = outcome;
  if (options.agents || options.broker !== undefined) {
    const { onLine = () => {}, onCrash = () => {}, broker } = options;
    agents = startAgents({
      root: ROOT,
      dataDir,
      environment: { WAYBILL_API_URL: url, ...environment },
      agents: options.agents,
      broker,
      onLine,
      onCrash,
    });
  }
  try {
    while (!(await healthy(url))) {
      if (hasEnded(child)) throw await ended;
      options.signal?.throwIfAborted();
      await sleep(50);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const pids = [child.pid, ...Object.values(agents?.pids() ?? {})];
  const ports = [url, environment["DATABASE_URL"], environment["AWS_ENDPOINT_URL_SQS"]].map(portOf);
  return { url, environment, agents, failed: ended, stop, left: async () => await leftOf(pids, ports) };
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
