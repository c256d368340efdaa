import type { Ending, Status } from "../core/lifecycle.ts";
import type { LeaseSettings } from "../settings.ts";

/** One attempt as it is known. Times are the database's. */
export type Attempt = {
  attempt: number;
  agent: string;
  runId: string;
  /** Which start of it by which process; null while nobody has it, and for agents that make none. */
  startId: string | null;
  process: string | null;
  /** Whether it counts against max_attempts. */
  counted: boolean;
  /** How often it was asked for. */
  requests: number;
  requestedAt: Date;
  /** When a process first said that it has it, when that it does it, and when it last said anything. */
  takenAt: Date | null;
  startedAt: Date | null;
  heardAt: Date | null;
  leaseUntil: Date;
  /** The hashes of the tokens of its requests, in hexadecimal; null where it was asked for without one. */
  leaseTokens: readonly string[] | null;
  /** The latest time that its process gave of a message, by that process's clock. */
  saidAt: Date | null;
  /** When it was asked for again, or its process what has become of it, how often that, with nothing said since; and when it was last told to stop. */
  askedAt: Date | null;
  asks: number;
  toldToStopAt: Date | null;
  endedAt: Date | null;
  /** Null while it is open. */
  how: Ending | null;
  reason: string | null;
  exitCode: number | null;
  /** JSON. */
  metrics: string | null;
};

/** What comes once the agents of work that is being stopped have confirmed it. */
export type Stopping = "cancelled" | "approved";

/** A piece of work with its attempts, by their numbers, while its row is locked. The functions beside this file change it. */
export type Work = {
  teamId: string;
  taskId: string;
  traceId: string;
  runId: string;
  /** As the table has it: work that is being stopped is executing. */
  status: Exclude<Status, "cancelling">;
  stopping: Stopping | null;
  toAgent: string | null;
  /** The highest number that an attempt has been given. */
  attempt: number;
  attemptsUsed: number;
  maxAttempts: number;
  timeoutSeconds: number;
  /** How often in a row it was handed back undone. */
  handedBack: number;
  notBefore: Date | null;
  readyAt: Date | null;
  startedAt: Date | null;
  leaseUntil: Date | null;
  deadline: Date | null;
  completedAt: Date | null;
  progress: number | null;
  exitCode: number | null;
  errorMessage: string | null;
  /** The attempt that ended it by its agent's word; null where silence or a person did. */
  endedBy: number | null;
  /** JSON: what the work took, once an attempt has ended it; `null` where that does not say, null while none has. */
  metrics: string | null;
  /** JSON, a list: what is to be added to the use of models that is known; null: nothing. */
  externalAi: string | null;
  attempts: Attempt[];
};

/** The time, the dice in [0, 1), and how long each wait may last. */
export type Clock = LeaseSettings & { now: Date; dice: () => number };

/** The time `seconds` later. */
export function later(time: Date, seconds: number): Date {
  return new Date(time.getTime() + seconds * 1000);
}

export function latest(times: Date[]): Date | null {
  return times.length === 0 ? null : new Date(Math.max(...times.map((time) => time.getTime())));
}

/** The attempts that have not ended. */
export function openOf({ attempts }: Work): Attempt[] {
  return attempts.filter(({ how }) => how === null);
}

/** Whether the attempt belongs to this run of the work and to the agent that has it now. */
export function isOurs(work: Work, { runId, agent }: Attempt): boolean {
  return runId === work.runId && agent === work.toAgent;
}

/** Whether they are starts by processes to which the queue has lent one request. */
export function isOneRequest(one: Attempt, other: Attempt): boolean {
  return one.runId === other.runId && one.requestedAt.getTime() === other.requestedAt.getTime();
}

/** Whether work is being done, and nobody wants it stopped. */
export function isUnderWay({ status, stopping }: Work): boolean {
  return status === "executing" && stopping === null;
}

/** Ends that no agent has said: silence, or a request withdrawn before anybody had it. What its agent says later stands instead. */
export function isUnsaid({ how }: Attempt): boolean {
  return how === "lease_expired" || how === "withdrawn";
}

/** Whether its agent has said how it ended. */
export function endedByWord(attempt: Attempt): boolean {
  return attempt.how !== null && !isUnsaid(attempt);
}

/** Ends an attempt. */
export function close(attempt: Attempt, how: Ending, now: Date, reason: string | null = null): void {
  Object.assign(attempt, { how, endedAt: now, reason, askedAt: null, asks: 0 });
}

/** An attempt that turns out to be none of those that may fail counts no more, and is paid once. */
export function uncount(work: Work, attempt: Attempt): void {
  if (!attempt.counted) return;
  attempt.counted = false;
  if (attempt.runId === work.runId) work.attemptsUsed = Math.max(0, work.attemptsUsed - 1);
}

/** An attempt of this run counts that did not until now, where any is left. */
export function count(work: Work, attempt: Attempt): void {
  if (work.attemptsUsed >= work.maxAttempts) return;
  attempt.counted = true;
  work.attemptsUsed += 1;
}

/** The last attempt of this run that counts. */
export function lastCounted({ attempts, runId }: Work): Attempt | undefined {
  return attempts.findLast((one) => one.counted && one.runId === runId);
}

/** Work that goes to another agent has an attempt there, also where processes with the same request have used up all. */
export function leaveOne(work: Work): void {
  const last = lastCounted(work);
  if (last !== undefined && work.attemptsUsed >= work.maxAttempts) uncount(work, last);
}

/** Ends an attempt that nobody does, which so counts no more. */
export function withdraw(work: Work, attempt: Attempt, reason: string, now: Date): void {
  close(attempt, "withdrawn", now, reason);
  uncount(work, attempt);
}

/** An attempt that was thought over goes on. */
export function reopen(attempt: Attempt): void {
  Object.assign(attempt, { how: null, endedAt: null, reason: null });
}

/** Whether an attempt that silence has ended is alive after all, and no other has the work by now. */
export function mayGoOn(work: Work, attempt: Attempt): boolean {
  if (attempt.how !== "lease_expired" || !isOurs(work, attempt) || work.stopping !== null) return false;
  if (work.status === "approved") return attempt.attempt === work.attempt;
  return work.status === "executing" && openOf(work).every(({ takenAt }) => takenAt === null);
}

/** What silence has ended goes on. */
export function goOn(work: Work, attempt: Attempt): void {
  reopen(attempt);
  if (work.status === "approved") Object.assign(work, { status: "executing", readyAt: null });
}

/** Gives an attempt whose process spoke another lease: while it runs never past its timeout. */
export function renew(work: Work, attempt: Attempt, { now, leaseSeconds }: Clock): void {
  const lease = later(now, leaseSeconds);
  const end = deadlineOf(work, attempt, leaseSeconds);
  attempt.leaseUntil = end !== null && end < lease ? end : lease;
}

/** When an attempt that runs is over whatever its process says; null before its start. */
export function deadlineOf({ timeoutSeconds }: Work, { startedAt }: Attempt, leaseSeconds: number): Date | null {
  return startedAt === null ? null : later(startedAt, timeoutSeconds + leaseSeconds);
}

/** Work is executing while any of its attempts is: its lease is the longest of theirs. */
export function keepLease(work: Work, { leaseSeconds }: Pick<Clock, "leaseSeconds">): void {
  const open = openOf(work);
  work.leaseUntil = latest(open.map(({ leaseUntil }) => leaseUntil));
  work.deadline = latest(
    open.map((one) => deadlineOf(work, one, leaseSeconds) ?? later(one.leaseUntil, work.timeoutSeconds + leaseSeconds)),
  );
}

/** Puts work into a state in which nobody does it. */
export function rest(work: Work, status: Exclude<Work["status"], "executing">, now: Date): void {
  const over = status !== "approved" && status !== "pending";
  Object.assign(work, { status, stopping: null, leaseUntil: null, deadline: null });
  work.completedAt = over ? (work.completedAt ?? now) : null;
  if (status !== "approved") work.readyAt = null;
  if (status !== "failed") work.errorMessage = null;
}
