import { backoff } from "../../lib/backoff.ts";
import { describeEnding, type Program, type Started, start } from "./program.ts";

/** A program that is started again when it ends by itself. */
export type Running = { name: string; pid: () => number | undefined; stop: () => Promise<void> };

type Part = {
  name: string;
  program: Program;
  /** What it may take to stop when it is told to; then it is ended. */
  stopMs: number;
  /** How it ended, when it starts again, and the last lines that it printed. */
  onCrash: (name: string, how: string, waitMs: number, said: string) => void;
};

/** A crashed program starts again after this long, in milliseconds; one that lived a while starts afresh. */
const WAIT = { first: 500, most: 30_000 };
const HEALTHY_MS = 30_000;

/** Starts a program, and again whenever it ends without having been told to. */
export function keepRunning({ name, program, stopMs, onCrash }: Part): Running {
  let stopping = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Started | undefined;
  const launch = async (crashes: number) => {
    const since = Date.now();
    running = start(program);
    const ending = await running.ended;
    if (stopping) return;
    const failures = Date.now() - since > HEALTHY_MS ? 0 : crashes;
    const waitMs = backoff(failures, WAIT, 0, 0);
    onCrash(name, describeEnding(ending), waitMs, running.tail());
    timer = setTimeout(() => void launch(failures + 1), waitMs);
  };
  void launch(0);
  return {
    name,
    pid: () => (running?.hasEnded() === false ? running.pid : undefined),
    stop: async () => {
      stopping = true;
      clearTimeout(timer);
      await running?.stop({ graceMs: stopMs });
    },
  };
}
