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
  if (!live) return { attempt, ended: how, stop: [], ...tooLate(work, attempt) };
  const others = openOf(work);
  if (others.some(({ startedAt }) => startedAt !== null)) {
    keepLease(work, clock);
    return { attempt, ended: how, stop: [], why: "another process does the work" };
  }
  // Others that have the same request and have not begun it are not to begin it.
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

/** Whether a completed attempt completes the work: not where a person has decided otherwise, or a later attempt has ended it. */
export function mayComplete(work: Work, { runId, attempt }: Attempt): boolean {
  if (runId !== work.runId || work.stopping === "cancelled") return false;
  if (work.status === "failed") return work.endedBy === null || work.endedBy <= attempt;
  // Pending: it was approved, and its agent of a later attempt handed it over to nobody.
  return work.status === "executing" || work.status === "approved" || work.status === "pending";
}

/** An end that decides nothing any more. Why its work failed is known better now than by silence. */
function tooLate(work: Work, attempt: Attempt): { why?: string } {
  const { how, reason, runId } = attempt;
  const given = how === "handed_back" || how === "handed_over";
  if (given && attempt.counted && runId === work.runId) {
    if (work.status === "approved" || work.status === "executing") uncount(work, attempt);
  } else if (work.status === "failed" && work.endedBy === null && runId === work.runId && how !== "cancelled") {
    work.errorMessage = reason ?? work.errorMessage;
    endedWith(work, attempt);
    return {};
  }
  if (how === "cancelled") return {};
  return { why: work.status === "executing" ? "a later attempt is under way" : `the work is ${work.status}` };
}

/** Where the end of the only attempt leads, unless it has completed the work. */
function nextAfter(work: Work, attempt: Attempt, { how, reason }: End, clock: Clock): void {
  work.startedAt = attempt.startedAt;
  if (how === "handed_back" || how === "cancelled") return giveBack(work, attempt, clock);
  work.handedBack = 0;
  if (how === "failed_retryable" && work.attemptsUsed < work.maxAttempts) return tryAgain(work, clock);
  fail(work, reason ?? "its agent gave no reason", clock.now);
  endedWith(work, attempt);
}

/** The work came to what this attempt did. */
function endedWith(work: Work, { attempt: endedBy, exitCode, metrics }: Attempt): void {
  Object.assign(work, { endedBy, exitCode, metrics: metrics ?? "null" });
}

/** Undone, and not at the cost of an attempt: at first again at once, then after a pause that grows, and not for ever. */
function giveBack(work: Work, attempt: Attempt, { now, dice }: Clock): void {
  uncount(work, attempt);
  work.handedBack += 1;
  if (work.handedBack > MOST_HAND_BACKS) {
    const last = attempt.reason === null ? "" : ` It last said: ${attempt.reason}`;
    return fail(work, `handed back undone ${work.handedBack} times in a row by agent ${attempt.agent}.${last}`, now);
  }
  const pause = work.handedBack === 1 ? 0 : backoff(work.handedBack - 2, HAND_BACK_PAUSE, 0.5, dice());
  rest(work, "approved", now);
  work.readyAt = later(now, pause);
}

/** The next attempt, after a pause that grows with those that were used. */
export function tryAgain(work: Work, { now, dice }: Pick<Clock, "now" | "dice">): void {
  rest(work, "approved", now);
  work.readyAt = later(now, backoff(work.attemptsUsed - 1, RETRY_PAUSE, 0.5, dice()));
}

/** For good, unless a person retries it. */
export function fail(work: Work, reason: string, now: Date): void {
  rest(work, "failed", now);
  work.errorMessage = reason;
}
