import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { endGroup, hasEnded, startProgram, stopProgram } from "./child.ts";

/** The example agents that run beside a local stack; each is agents/NAME.ts. */
export const LOCAL_AGENTS = ["code", "infra"];

/** What an agent that is told to stop may take to hand its work back; it is ended a second later. */
const GRACE_SECONDS = 2;

/** A crashed agent starts again after this long, doubling up to the longest; one that lived a while starts afresh. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
const HEALTHY_MS = 30_000;

export type Agents = { pids: () => Record<string, number | undefined>; stop: () => Promise<void> };

type Start = {
  root: string;
  dataDir: string;
  environment: Record<string, string>;
  onLine: (source: string, line: string) => void;
  onCrash: (agent: string, how: string, waitMs: number) => void;
};

/** Starts the example agents as processes of their own, and again when one ends by itself. */
export function startAgents(start: Start): Agents {
  const agents = LOCAL_AGENTS.filter((name) => existsSync(join(start.root, "agents", `${name}.ts`)));
  const running = agents.map((name) => ({ name, ...keepRunning(name, start) }));
  return {
    pids: () => Object.fromEntries(running.map(({ name, pid }) => [name, pid()])),
    stop: async () => void (await Promise.all(running.map(({ stop }) => stop()))),
  };
}

function keepRunning(name: string, { root, dataDir, environment, onLine, onCrash }: Start) {
  const env = { ...process.env, ...environment };
  const queues = JSON.parse(env["AGENT_QUEUES"] ?? "{}") as Record<string, string>;
  let stopping = false;
  let timer: NodeJS.Timeout | undefined;
  let child: ChildProcess;
  const launch = (waitMs: number) => {
    const started = Date.now();
    child = startProgram({
      args: ["--import", join(root, "localstack", "follow-parent.ts"), join(root, "agents", `${name}.ts`)],
      cwd: process.cwd(),
      env: {
        AGENT_GRACE_SECONDS: String(GRACE_SECONDS),
        AGENT_POLL_SECONDS: "1",
        WAYBILL_AGENT_DATA: join(dataDir, "agents"),
        ...env,
        AGENT_QUEUE_URL: queues[name] ?? "",
      },
      logFile: join(dataDir, "logs", `agent-${name}.log`),
      onLine: (line) => onLine(name, line),
    });
    child.once("exit", (code, signal) => {
      if (stopping) return;
      endGroup(child);
      const wait = Date.now() - started > HEALTHY_MS ? FIRST_WAIT_MS : waitMs;
      onCrash(name, signal ?? `exit code ${code}`, wait);
      timer = setTimeout(() => launch(Math.min(wait * 2, LONGEST_WAIT_MS)), wait);
    });
  };
  launch(FIRST_WAIT_MS);
  return {
    pid: () => (hasEnded(child) ? undefined : child.pid),
    stop: async () => {
      stopping = true;
      clearTimeout(timer);
      await stopProgram(child, (GRACE_SECONDS + 1) * 1000);
    },
  };
}
