import type { Effect, History } from "../history/history.ts";

/** One start of a handler: what its agent wrote down of it, and whether the harness cut it off. */
export type Run = {
  run: string;
  taskId: string;
  attempt: number;
  agent: string;
  startedAt: number;
  /** Undefined: it never got that far. */
  ended: Exclude<Effect["what"], "started"> | undefined;
  endedAt: number | undefined;
  /** Its process was killed or stood still while it ran, or before its result can have been told. */
  cut: boolean;
};

/** What a process may take from the end of a handler until its result is in a queue. */
const TELLING_MS = 1_000;

/** The runs of each task, in the order in which they began. */
export function runsOf({ effects, hurt }: Pick<History, "effects" | "hurt">): Map<string, Run[]> {
  const runs = new Map<string, Run & { pid: number }>();
  for (const { run, taskId, attempt, agent, at, pid, what } of effects) {
    if (what === "started") {
      const begun = {
        run,
        taskId,
        attempt,
        agent,
        startedAt: at,
        ended: undefined,
        endedAt: undefined,
        cut: false,
        pid,
      };
      runs.set(run, begun);
      continue;
    }
    const known = runs.get(run);
    if (known !== undefined) Object.assign(known, { ended: what, endedAt: at });
  }
  for (const run of runs.values()) {
    const until = run.endedAt === undefined ? Number.POSITIVE_INFINITY : run.endedAt + TELLING_MS;
    run.cut = hurt.some(({ pid, at }) => pid === run.pid && at >= run.startedAt && at <= until);
  }
  return Map.groupBy(runs.values(), ({ taskId }) => taskId);
}
