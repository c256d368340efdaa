import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

export type Program = {
  args: string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Gets everything that the program prints. */
  logFile: string;
  onLine?: (line: string) => void;
};

/**
 * Starts a Node program with a channel to this process, in a process group of its own: Ctrl-C reaches only us, and we stop
 * the parts in their order.
 */
export function startProgram({ args, cwd, env, logFile, onLine }: Program): ChildProcess {
  const child = spawn(process.execPath, args, {
    cwd,
    detached: true,
    env: { ...env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on("line", (line) => {
      appendFileSync(logFile, `${line}\n`);
      onLine?.(line);
    });
  }
  return child;
}

/** Asks a program to stop and ends it, with all that it has started, when `graceMs` are over. */
export async function stopProgram(child: ChildProcess, graceMs: number): Promise<void> {
  if (!hasEnded(child)) {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await Promise.race([ended, sleep(graceMs, undefined, { ref: false })]);
  }
  endGroup(child);
}

/** Ends what is left of a program's process group. */
export function endGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // Nothing is left of it.
  }
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
