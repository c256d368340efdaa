import type { ChildProcess } from "node:child_process";
import { endGroup, hasEnded, type Program, startProgram, stopProgram } from "./child.ts";

/** A program that is started again when it ends by itself. */
export type Running = { name: string; pid: () => number | undefined; stop: () => Promise<void> };

type Part = {
  name: string;
  program: Program;
  /** What it may take to stop when it is told to; then it is ended. */
  stopMs: number;
  onCrash: (name: string, how: string, waitMs: number) => void;
};

/** A crashed program starts again after this long, doubling up to the longest; one that lived a while starts afresh. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
const HEALTHY_MS = 30_000;

/** Starts a program, and again whenever it ends without having been told to. */
export function keepRunning({ name, program, stopMs, onCrash }: Part): Running {
  let stopping = false;
  let timer: NodeJS.Timeout | undefined;
  let child: ChildProcess;
  const launch = (waitMs: number) => {
    const started = Date.now();
    child = startProgram(program);
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
    name,
    pid: () => (hasEnded(child) ? undefined : child.pid),
    stop: async () => {
      stopping = true;
      clearTimeout(timer);
      await stopProgram(child, stopMs);
    },
  };
}
