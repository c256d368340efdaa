import {
  type Attempt,
  type Clock,
  isUnsaid,
  keepLease,
  later,
  latest,
  leaveOne,
  openOf,
  reopen,
  rest,
  type Stopping,
  uncount,
  type Work,
  withdraw,
} from "./work.ts";

/** An attempt is told to stop at most this often, in seconds. */
const TELL_EVERY_SECONDS = 5;

/** Which attempt of which run, of which agent, is to stop: the one start of it that is named, or whoever has it. */
export type ToStop = Pick<Attempt, "attempt" | "agent" | "runId" | "startId">;

/** Notes that the process of an attempt is to be told to stop; none where it was told a moment ago. */
export function tellToStop(attempt: Attempt, { now }: Pick<Clock, "now">): Attempt[] {
  const { toldToStopAt } = attempt;
  if (toldToStopAt !== null && later(toldToStopAt, TELL_EVERY_SECONDS) > now) return [];
  attempt.toldToStopAt = now;
  return [attempt];
}

/** Ends what is still open: what nobody has is withdrawn, the others stay open until they confirm. Answers whom to tell. */
export function halt(work: Work, reason: string, clock: Pick<Clock, "now">): Attempt[] {
  const { nobodys = [], others = [] } = Object.groupBy(openOf(work), ({ takenAt }) =>
    takenAt === null ? "nobodys" : "others",
  );
  return [...callOff(work, nobodys, reason, clock), ...others.flatMap((attempt) => tellToStop(attempt, clock))];
}

/** Withdraws attempts that nobody has begun. Answers whom to tell, for somebody may take them all the same. */
export function callOff(
  work: Work,
  attempts: readonly Attempt[],
  reason: string,
  clock: Pick<Clock, "now">,
): Attempt[] {
  for (const attempt of attempts) withdraw(work, attempt, reason, clock.now);
  return attempts.flatMap((attempt) => tellToStop(attempt, clock));
}

/**
 * Stops all that is, or may be, done about the work, then leads to `next`: at once where no process can have it, otherwise when all have
 * confirmed it or were silent for a lease. An attempt that was over by silence may live: it is asked too, unless a lease has passed
 * since it was last heard of or given up. Answers whom to tell.
 */
export function stop(work: Work, next: Stopping, reason: string, clock: Clock): Attempt[] {
  const { now, leaseSeconds } = clock;
  // It is to go on elsewhere: what that ends is not paid for.
  if (next === "approved") for (const attempt of openOf(work)) uncount(work, attempt);
  for (const attempt of work.attempts.filter((one) => isUnsaid(one) && one.takenAt !== null)) {
    const heard = latest([attempt.heardAt, attempt.endedAt].filter((time) => time !== null));
    if (heard === null || later(heard, leaseSeconds) <= now) continue;
    const { reason: wasOverBy } = attempt;
    reopen(attempt);
    Object.assign(attempt, { reason: wasOverBy, leaseUntil: later(heard, leaseSeconds) });
  }
  const told = halt(work, reason, clock);
  Object.assign(work, { status: "executing", stopping: next, readyAt: null, completedAt: null, errorMessage: null });
  settleStop(work, clock);
  return told;
}

/** Once nobody does work that is being stopped, it goes where it was to go. */
export function settleStop(work: Work, clock: Pick<Clock, "now" | "leaseSeconds">): void {
  if (work.stopping === null) return;
  if (openOf(work).length > 0) return keepLease(work, clock);
  const { stopping, notBefore } = work;
  rest(work, stopping, clock.now);
  if (stopping !== "approved") return;
  leaveOne(work);
  work.readyAt = notBefore !== null && notBefore > clock.now ? notBefore : clock.now;
}
