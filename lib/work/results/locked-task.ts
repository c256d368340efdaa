import type { Status } from "../core/lifecycle.ts";

/** The columns of a task that settling messages needs, read while its row is locked. */
export type LockedTask = {
  taskId: string;
  traceId: string;
  status: Status;
  attempt: number;
  attemptsUsed: number;
  maxAttempts: number;
  toAgent: string | null;
  runId: string;
};

/** A locked task of whose latest attempt a message speaks, by the agent that has it. */
export type SpokenOf = LockedTask & { toAgent: string };
