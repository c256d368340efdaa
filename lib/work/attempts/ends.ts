import { backoff, type Growth } from "../../backoff.ts";
import type { Ending } from "../core/lifecycle.ts";
import { callOff, halt, settleStop, type ToStop } from "./stop.ts";
import {
  type Attempt,
  type Clock,
  close,
  endedByWord,
  goOn,
  isOurs,
  isUnderWay,
  isUnsaid,
  keepLease,
  lastCounted,
  later,
  mayGoOn,
  openOf,
  rest,
  uncount,
  type Work,
} from "./work.ts";

/**
 * What a word has come to. `attempt`: where what it tells of steps and output belongs, undefined where nobody knows such an attempt.
 * `ended`: this word has ended the attempt. `why`: it has changed nothing of the work, and the reason. `stop`: whom to tell to stop.
 */
export type Heard = { attempt?: Attempt; ended?: Ending; why?: string; stop: ToStop[] };

/** How its agent says that an attempt ended. */
export type End = { how: Ending; exitCode: number | null; reason: string | null; metrics: string | null };

/** Between two attempts, in seconds: 2, 4, 8 … at most 300, of which a random part, at most half, is taken off. */
const RETRY_PAUSE = { first: 2, most: 300 } as const satisfies Growth;

/** Work that is handed back undone begins again at once, then after 1, 2, 4 … at most 300 seconds; after so many times in a row it has failed. */
const HAND_BACK_PAUSE = { first: 1, most: 300 } as const satisfies Growth;
export const MOST_HAND_BACKS = 20;

/** The agent's word that the attempt is over. */
export function ends(work: Work, attempt: Attempt, end: End, clock: Clock): Heard {
  const { how, reason, exitCode, metrics } = end;
  const number = attempt.attempt;
  if (endedByWord(attempt)) {
    return attempt.how === how ? { attempt, stop: [] } : { attempt, why: `it had ended: ${attempt.how}`, stop: [] };
  }
  const bySilence = isFailedBySilence(work);
  const withdrawn = goesOn(work, attempt, how, clock);
  const live = isUnderWay(work) && isOurs(work, attempt) && !isUnsaid(attempt);
  if (how === "handed_over" && live) return { attempt, ended: how, stop: withdrawn };
  close(attempt, how, clock.now, reason);
  Object.assign(attempt, { exitCode, metrics });
  if (how === "completed" && mayComplete(work, attempt)) {
    rest(work, "completed", clock.now);
    endedWith(work, attempt);
    // Its agent need not be the one that the work was handed to meanwhile.
    Object.assign(work, { progress: 1, startedAt: attempt.startedAt, toAgent: attempt.agent });
    return { attempt, ended: how, stop: halt(work, `attempt ${number} has completed the work`, clock) };
  }
  if (work.stopping !== null) {
    settleStop(work, clock);
    return { attempt, ended: how, stop: [], ...(how === "cancelled" ? {} : { why: "the work was being stopped" }) };
  }
  if (!live) return { attempt, ended: how, stop: [], ...tooLate(work, attempt, bySilence) };
  const others = openOf(work);
  if (others.some(({ startedAt }) => startedAt !== null)) {
    keepLease(work, clock);
    return { attempt, ended: how, stop: [], why: "another process does the work" };
  }
  // Others that have the same request and have not begun it are not to begin it: whoever asks again asks under the next number, for
  // a process answers a number that it has ended with that end.
  withdrawn.push(...callOff(work, others, `attempt ${number} has ended: ${how}`, clock));
  nextAfter(work, attempt, end, clock);
  return { attempt, ended: how, stop: withdrawn };
}

/**
 * An attempt that silence had ended was alive where its agent says its end before anybody has the next: then that end decides. Where the
 * next is requested already it goes on, unless there is nothing left to do for it. Answers whom to tell.
 */
function goesOn(work: Work, attempt: Attempt, how: Ending, clock: Clock): Attempt[] {
  const decides = work.status === "approved" || how === "failed" || how === "handed_over";
  if (!decides || !mayGoOn(work, attempt)) return [];
  const told = callOff(work, openOf(work), `attempt ${attempt.attempt} was alive, and has ended: ${how}`, clock);
  goOn(work, attempt);
  keepLease(work, clock);
  return told;
}

/** Whether a completed attempt completes the work: not where a person has decided otherwise, or one that was asked for later has ended it. */
export function mayComplete(work: Work, { runId, requestedAt }: Attempt): boolean {
  if (runId !== work.runId || work.stopping === "cancelled") return false;
  if (work.status === "failed") {
    const by = work.attempts.find(({ attempt }) => attempt === work.endedBy);
    return by === undefined || by.requestedAt <= requestedAt;
  }
  // Pending: it was approved, and its agent of a later attempt handed it over to nobody.
  return work.status === "executing" || work.status === "approved" || work.status === "pending";
}

/** Undone, and at no cost. */
export function isGiven(how: Ending): boolean {
  return how === "handed_back" || how === "cancelled";
}

function isFailedBySilence(work: Work): boolean {
  return work.status === "failed" && work.endedBy === null && lastCounted(work)?.how === "lease_expired";
}

/** An end that decides nothing any more. Why its work failed is known better now than by silence. */
function tooLate(work: Work, attempt: Attempt, bySilence: boolean): { why?: string } {
  const { how, reason, runId } = attempt;
  // Unlike what is given: a stop that is confirmed late changes nothing, and a handover is not paid for.
  const passedOn = how === "handed_back" || how === "handed_over";
  if (runId === work.runId && passedOn) {
    if (bySilence || work.status === "approved" || work.status === "executing") uncount(work, attempt);
    if (bySilence) {
      const said = how === "handed_back" ? "given it back undone" : "handed it over";
      work.errorMessage = `agent ${attempt.agent} had fallen silent, and has ${said} since; retry begins it again`;
    }
  } else if (runId === work.runId && bySilence && how !== "cancelled") {
    work.errorMessage = reason ?? work.errorMessage;
    endedWith(work, attempt);
    return {};
  }
  if (how === "cancelled") return {};
  return { why: work.status === "executing" ? "a later attempt is under way" : `the work is ${work.status}` };
}

/**
 * Where the end of the last open attempt leads, unless it has completed the work. Others with the same request may have ended before:
 * a failure for good stands, and what is given back has no other attempt where theirs was the last.
 */
function nextAfter(work: Work, attempt: Attempt, { how }: End, clock: Clock): void {
  const given = isGiven(how);
  work.startedAt = attempt.startedAt;
  if (given) uncount(work, attempt);
  const failed = failedForGood(work);
  const isLeft = failed === undefined && work.attemptsUsed < work.maxAttempts;
  if (given && isLeft) return giveBack(work, attempt, clock);
  work.handedBack = 0;
  if (how === "failed_retryable" && isLeft) return tryAgain(work, clock);
  const last = failed ?? (given ? lastCounted(work) : attempt);
  fail(work, last?.reason ?? "its agent gave no reason", clock.now);
  if (last !== undefined && endedByWord(last)) endedWith(work, last);
}

/** What another process of the agent has said of the same stretch of work: it stands, not the silence of those beside it. */
export function failedForGood(work: Work): Attempt | undefined {
  const failed = work.attempts.findLast((one) => one.how === "failed" && isOurs(work, one));
  const { endedAt = null } = failed ?? {};
  const isLast = endedAt !== null && work.attempts.every(({ requestedAt }) => requestedAt <= endedAt);
  return isLast ? failed : undefined;
}

/** The work came to what this attempt did. */
export function endedWith(work: Work, { attempt: endedBy, exitCode, metrics }: Attempt): void {
  Object.assign(work, { endedBy, exitCode, metrics: metrics ?? "null" });
}

/** Undone: at first again at once, then after a pause that grows, and not for ever. */
function giveBack(work: Work, { agent, reason, startedAt }: Attempt, { now, dice }: Clock): void {
  // Whoever has worked on it for longer than the longest pause is not one that only gives it back.
  const hasWorked = startedAt !== null && later(startedAt, HAND_BACK_PAUSE.most) <= now;
  work.handedBack = hasWorked ? 1 : work.handedBack + 1;
  if (work.handedBack > MOST_HAND_BACKS) {
    const last = reason === null ? "" : ` It last said: ${reason}`;
    return fail(work, `handed back undone ${work.handedBack} times in a row by agent ${agent}.${last}`, now);
  }
  const pause = work.handedBack === 1 ? 0 : backoff(work.handedBack - 2, HAND_BACK_PAUSE, 0.5, dice());
  rest(work, "approved", now);
  work.readyAt = later(now, pause);
}

/** The next attempt, after a pause that grows with those that were used. */
export function tryAgain(work: Work, { now, dice }: Pick<Clock, "now" | "dice">): void {
  rest(work, "approved", now);
  work.readyAt = later(now, backoff(Math.max(0, work.attemptsUsed - 1), RETRY_PAUSE, 0.5, dice()));
}

/** For good, unless a person retries it. */
export function fail(work: Work, reason: string, now: Date): void {
  rest(work, "failed", now);
  work.errorMessage = reason;
}
