import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";
import { runningOver } from "../../../localstack/parts/data-dir.ts";
import { keyFile, readKey } from "../../../localstack/parts/keys.ts";
import { freePort } from "../../../localstack/parts/ports.ts";

/** What `npm start` runs, as a process of its own. */
export type Started = {
  child: ChildProcess;
  url: string;
  port: number;
  dataDir: string;
  /** All that it has printed so far. */
  output: () => string;
  /** Every process that it started, and theirs. */
  family: () => number[];
  /** Sends the signal; answers the exit code when it has ended. */
  stop: (signal?: NodeJS.Signals) => Promise<number | null>;
};

type Options = { dataDir: string; port?: number; args?: string[]; env?: Record<string, string> };

/** A directory for a stack's data, and how to remove it. */
export function temporaryDir(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "waybill-e2e-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Starts the stack as `npm start` does; it need not come up. */
export async function launch({ dataDir, port = 0, args = [], env = {} }: Options): Promise<Started> {
  const chosen = port || (await freePort());
  const command = ["localstack/npm-start.ts", "--port", String(chosen), "--data", dataDir, ...args];
  return follow(command, { ...cleanEnv(), ...env }, { port: chosen, dataDir });
}

/** Starts `serverless offline` by itself; it need not come up. */
export async function launchOffline(dataDir: string): Promise<Started> {
  const port = await freePort();
  const [http, lambda] = [String(port), String(await freePort())];
  const program = "node_modules/serverless/bin/serverless.js";
  const command = [program, "offline", "--httpPort", http, "--lambdaPort", lambda];
  return follow(command, { ...cleanEnv(), WAYBILL_DATA: dataDir }, { port, dataDir });
}

function follow(
  command: string[],
  env: NodeJS.ProcessEnv,
  { port, dataDir }: Pick<Started, "port" | "dataDir">,
): Started {
  const child = spawn(process.execPath, command, { env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece: Buffer) => (output += piece.toString()));
  const ended = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
  return {
    child,
    port,
    url: `http://127.0.0.1:${port}`,
    dataDir,
    output: () => output,
    family: () => familyOf(child.pid ?? 0),
    stop: async (signal = "SIGTERM") => {
      child.kill(signal);
      return await ended;
    },
  };
}

/** Starts the stack and waits until it says that it serves. */
export async function startStack(options: Options): Promise<Started> {
  return await ready(await launch(options));
}

/** Waits until it says that it serves. Throws what it said instead where it ends. */
export async function ready(started: Started): Promise<Started> {
  await vi.waitUntil(
    () => {
      if (started.child.exitCode !== null) throw new Error(`The stack did not start:\n${started.output()}`);
      return started.output().includes(`ready ${started.url}`);
    },
    { timeout: 180_000, interval: 50 },
  );
  return started;
}

/** The header by which the owner of a running stack calls its API. */
export function ownerOf({ dataDir }: Pick<Started, "dataDir">): { authorization: string } {
  return { authorization: `Bearer ${readKey(keyFile(dataDir))}` };
}

/** The variables by which a process of its own finds a running stack's services. */
export function environmentOf(started: Started): Record<string, string> {
  return { ...cleanEnv(), ...runningOver(started.dataDir)?.environment } as Record<string, string>;
}

/** The environment without what the test run itself is configured by. */
function cleanEnv(): NodeJS.ProcessEnv {
  const ours = /^(DATABASE_|AWS_|AGENT_|WAYBILL_|LOG_LEVEL$|VITEST|NODE_ENV$|RABBITMQ_PREFIX$|.*_QUEUE_URL$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));
}

type Process = { pid: number; parent: number; command: string };

/** Whether a process is there. One that has ended and that nobody has asked about counts as gone. */
export function isRunning(pid: number): boolean {
  return processes().some((process) => process.pid === pid);
}

/** The processes whose command line holds the text. */
export function processesWith(text: string): number[] {
  return processes()
    .filter(({ command }) => command.includes(text))
    .map(({ pid }) => pid);
}

function familyOf(root: number): number[] {
  const all = processes();
  const family = [root];
  for (const member of family) family.push(...all.filter(({ parent }) => parent === member).map(({ pid }) => pid));
  return family.slice(1);
}

/** Every process that has not ended. Linux has /proc even where ps is not installed. */
function processes(): Process[] {
  if (process.platform !== "linux") {
    const lines = execFileSync("ps", ["-axww", "-o", "pid=,ppid=,stat=,command="], { encoding: "utf8" }).split("\n");
    return lines.flatMap((line) => {
      const [, pid, parent, command = ""] = /^ *(\d+) +(\d+) +[^Z\s]\S* +(.*)$/.exec(line) ?? [];
      return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), command }];
    });
  }
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const [, state, parent] = /\) (\S) (\d+)/.exec(read(`/proc/${pid}/stat`)) ?? [];
      if (state === undefined || state === "Z") return [];
      const command = read(`/proc/${pid}/cmdline`).replaceAll("\0", " ");
      return [{ pid: Number(pid), parent: Number(parent), command }];
    });
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // It has ended between the look at the list and the look at it.
    return "";
  }
}
