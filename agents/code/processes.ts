import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** A command that runs: its process group, and what only its processes have in their environment. */
export type Running = { group: number; mark: string };

/** From one look for processes to the next, and how many looks there are at most. */
const LOOK_MS = 10;
const LOOKS = 100;

/** Signals the command's process group and, on Linux, those of its processes that have left it. Throws nothing where they are gone. */
export function signalAll({ group, mark }: Running, signal: NodeJS.Signals): void {
  kill(-group, signal);
  for (const pid of marked(mark)) if (groupOf(pid) !== group) kill(pid, signal);
}

/** On Linux: kills every process with the mark until there is none, as one may start another while it is looked for. */
export async function endMarked(mark: string): Promise<void> {
  for (let look = 0; look < LOOKS; look += 1) {
    const found = marked(mark);
    if (found.length === 0) return;
    for (const pid of found) kill(pid, "SIGKILL");
    await sleep(LOOK_MS);
  }
}

/** Children inherit the environment, whatever group, session or parent they have; where there is no /proc nobody is found. */
function marked(mark: string): number[] {
  const pids = list("/proc").filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => marksOf(pid).includes(mark)).map(Number);
}

/** WAYBILL_COMMAND of its environment: a mark for each command that it is part of. */
function marksOf(pid: string): string[] {
  const variables = read(`/proc/${pid}/environ`).split("\0");
  return (
    variables
      .find((one) => one.startsWith("WAYBILL_COMMAND="))
      ?.slice("WAYBILL_COMMAND=".length)
      .split(" ") ?? []
  );
}

function groupOf(pid: number): number {
  return Number(/^.*\) \S \d+ (\d+) /s.exec(read(`/proc/${pid}/stat`))?.[1]);
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Empty where the process has ended, or is another user's. */
function read(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}

/** Signals a process, or a group by its number below 0. Throws nothing where it is gone. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Already gone.
  }
}
