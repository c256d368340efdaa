import { endedWith, fail, failedForGood, tryAgain } from "./ends.ts";
import { callOff, settleStop } from "./stop.ts";
import {
  type Attempt,
  type Clock,
  close,
  deadlineOf,
  isOneRequest,
  isOurs,
  isUnderWay,
  keepLease,
  lastCounted,
  later,
  openOf,
  type Work,
  withdraw,
} from "./work.ts";

/** What silence has come to: the attempts that ended by it, those to be asked for again, whom to ask what has become of it, whom to tell to stop. */
export type Expired = { ended: Attempt[]; again: Attempt[]; ask: Attempt[]; stop: Attempt[] };

/** How long a process that fell silent has to answer when it is asked, in seconds: a third of a lease, at least 5. */
const answerSeconds = (leaseSeconds: number) => Math.max(5, leaseSeconds / 3);

/** So often: the question or its answer may be lost, or find another process of the agent. */
const MOST_ASKS = 2;

/** A request that nobody takes is sent again after `pickupSeconds`, then after twice as long each time, at most this. */
const MOST_PICKUP_SECONDS = 3600;

/**
 * Looks at the attempts whose lease is over. One that nobody has, or whose process never began, costs nothing: it is asked for again.
 * One that ran is asked what has become of it; if that is not answered either, it is over by silence, and where no other is under way
 * the work is tried again or has failed.
 */
export function expire(work: Work, clock: Clock): Expired {
  const { now, leaseSeconds, pickupSeconds } = clock;
  const expired: Expired = { ended: [], again: [], ask: [], stop: [] };
  for (const attempt of openOf(work).filter(({ leaseUntil }) => leaseUntil <= now)) {
    const wanted = isUnderWay(work) && isOurs(work, attempt);
    const hasOthers = openOf(work).some((one) => one !== attempt && one.takenAt !== null);
    if (wanted && attempt.startedAt === null && hasOthers) {
      expired.stop.push(...callOff(work, [attempt], "another process has the work", clock));
    } else if (wanted && attempt.startedAt === null && isAnswered(work, attempt)) {
      expired.stop.push(...callOff(work, [attempt], "it is asked for under the next number", clock));
    } else if (wanted && attempt.startedAt === null) {
      const wait = Math.min(Math.max(pickupSeconds, MOST_PICKUP_SECONDS), pickupSeconds * 2 ** attempt.requests);
      const nobody = { startId: null, process: null, takenAt: null, saidAt: null };
      Object.assign(attempt, { ...nobody, askedAt: now, leaseUntil: later(now, wait) });
      attempt.requests += 1;
      expired.again.push(attempt);
    } else if (wanted && mayBeAsked(work, attempt, clock)) {
      Object.assign(attempt, { askedAt: now, leaseUntil: later(now, answerSeconds(leaseSeconds)) });
      attempt.asks += 1;
      expired.ask.push(attempt);
    } else if (attempt.startedAt === null) {
      withdraw(work, attempt, "it was told to stop before it began, and nobody has it any more", now);
    } else {
      close(attempt, "lease_expired", now, wanted ? reasonOf(work, attempt, clock) : neverConfirmed(attempt));
      expired.ended.push(attempt);
    }
  }
  if (isUnderWay(work) && openOf(work).length === 0) giveUp(work, expired, clock);
  else if (work.stopping !== null) settleStop(work, clock);
  else if (work.status === "executing") keepLease(work, clock);
  return expired;
}

/** Whether a process has ended what it had of this request: it answers the same number with that end, for ever. */
function isAnswered({ attempts }: Work, attempt: Attempt): boolean {
  return attempt.requests > 0 && attempts.some((one) => one.how !== null && isOneRequest(one, attempt));
}

/** Only who names its start can answer for it; past its timeout nothing is left to ask. */
function mayBeAsked(work: Work, attempt: Attempt, { now, leaseSeconds }: Clock): boolean {
  const end = deadlineOf(work, attempt, leaseSeconds);
  return attempt.startId !== null && attempt.asks < MOST_ASKS && (end === null || now < end);
}

/** It may have been over by silence before, for a reason of its own. */
function neverConfirmed({ reason }: Attempt): string {
  const stopped = "it was told to stop and never confirmed it";
  return reason === null ? stopped : `${reason}; then ${stopped}`;
}

function reasonOf(work: Work, attempt: Attempt, { now, leaseSeconds }: Clock): string {
  const { agent } = attempt;
  const end = deadlineOf(work, attempt, leaseSeconds);
  const what =
    end !== null && end <= now
      ? `the work ran past its timeout of ${work.timeoutSeconds} s and agent ${agent} did not end it`
      : `agent ${agent} fell silent: its lease ran out`;
  return `${what} (attempt ${work.attemptsUsed} of ${work.maxAttempts})`;
}

/** Nobody does the work any more. */
function giveUp(work: Work, expired: Expired, clock: Clock): void {
  work.handedBack = 0;
  const failed = failedForGood(work);
  if (failed === undefined && work.attemptsUsed < work.maxAttempts) return tryAgain(work, clock);
  fail(work, (failed ?? expired.ended.at(-1) ?? lastCounted(work))?.reason ?? "its agent fell silent", clock.now);
  if (failed !== undefined) endedWith(work, failed);
  expired.stop.push(...expired.ended);
}
