// Not execa: its forced end reaches the process alone and `detached` turns its clean-up off, while here a process is ended with all
// that it has started, by its group. What would be left of this file with it is that, and 20 packages more.
import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { within } from "../../lib/time.ts";

export type Program = {
  command: string;
  args: string[];
  cwd?: string;
  env: NodeJS.ProcessEnv;
  /** Whether it has a channel to this process, by which it may say things and sees this process end. */
  channel?: boolean;
  /** Gets everything that the program prints. */
  logFile?: string | undefined;
  onLine?: (line: string) => void;
};

/** How a program ended; `error` where it did not start. */
export type Ending = { code: number | null; signal: NodeJS.Signals | null; error?: Error };

/** How a program is asked to stop, and ended when `graceMs` milliseconds are over. */
export type Stopping = { graceMs: number; ask?: NodeJS.Signals; end?: NodeJS.Signals };

export type Started = {
  pid: number | undefined;
  /** Settles when the program and all that it has printed are over; what it had started is ended then. */
  ended: Promise<Ending>;
  hasEnded: () => boolean;
  /** The last lines that it printed. */
  tail: () => string;
  onMessage: (hear: (message: unknown) => void) => void;
  /** Says something over its channel. */
  send: (message: object | string) => void;
  /** Asks it to stop and answers when it has ended. */
  stop: (how: Stopping) => Promise<void>;
};

const TAIL_LINES = 15;

/**
 * Starts a program in a process group of its own: Ctrl-C reaches only us, and we stop the parts in their order. Where this process
 * ends without having stopped it, at least it is told to (SIGINT).
 */
export function start({ command, args, cwd, env, channel = false, logFile, onLine }: Program): Started {
  const child = spawn(command, args, {
    cwd,
    detached: true,
    env,
    stdio: ["ignore", "pipe", "pipe", channel ? "ipc" : "ignore"],
  });
  const lines: string[] = [];
  const hear = (line: string) => {
    lines.splice(0, lines.length - TAIL_LINES + 1);
    lines.push(line);
    if (logFile !== undefined) keep(logFile, line);
    onLine?.(line);
  };
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on("line", hear);
  }
  const tell = () => child.kill("SIGINT");
  process.once("exit", tell);
  const ended = endOf(child);
  void ended.then(() => process.off("exit", tell));
  return {
    pid: child.pid,
    ended,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null || child.pid === undefined,
    tail: () => lines.join("\n"),
    onMessage: (listen) => void child.on("message", listen),
    send: (message) => void child.send(message),
    stop: async ({ graceMs, ask = "SIGTERM", end = "SIGKILL" }) => {
      child.kill(ask);
      await within(graceMs, ended, () => void child.kill(end));
      await ended;
    },
  };
}

const told = new Set<string>();

/** Appends a line to a log; one that cannot be written, such as on a full disk, ends nothing, and is told once for its folder. */
function keep(logFile: string, line: string): void {
  try {
    appendFileSync(logFile, `${line}\n`);
  } catch (error) {
    const folder = dirname(logFile);
    if (told.has(folder)) return;
    told.add(folder);
    const reason = (error as Error).message;
    console.error(
      `The logs in ${folder} cannot be written, and miss what is said now: ${reason}\n` +
        `All else goes on as far as it needs no space. See what takes it, and make room: df -h ${folder}; du -sh ${dirname(folder)}/*`,
    );
  }
}

/** How a program ended, in words. */
export function describeEnding({ code, signal, error }: Ending): string {
  return error?.message ?? signal ?? `exit code ${code}`;
}

async function endOf(child: ChildProcess): Promise<Ending> {
  return await new Promise((resolve) => {
    child.on("error", (error) => {
      if (child.pid === undefined) resolve({ code: null, signal: null, error });
    });
    // Its own children may hold its output open: without this, `close` would wait for them.
    child.once("exit", () => endGroup(child));
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
}

function endGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // Nothing is left of it.
  }
}
