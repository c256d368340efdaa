import { type End, ends, type Heard, isGiven, mayComplete } from "./ends.ts";
import { tellToStop } from "./stop.ts";
import {
  type Attempt,
  type Clock,
  count,
  endedByWord,
  goOn,
  isOneRequest,
  isOurs,
  isUnderWay,
  isUnsaid,
  keepLease,
  later,
  mayGoOn,
  openOf,
  renew,
  type Work,
  withdraw,
} from "./work.ts";

/** What an agent says of an attempt, as far as it decides anything. */
export type Word = {
  agent: string;
  runId: string;
  /** As the agent counts; undefined where it does not know. */
  attempt: number | undefined;
  startId: string | undefined;
  process: string | undefined;
  /** When it was said, by the clock of the process that says it. */
  at: Date;
} & Saying;

/** `sign`: a sign of life by itself, which is never said again; what is told of steps and roles is, from the journal. */
export type Saying =
  | { says: "held" }
  | { says: "executing"; progress: number | null; sign: boolean }
  | { says: "end"; end: End };

/**
 * Lets a word of an agent change the work and its attempts. A fact counts whenever it arrives: an attempt that was over by silence alone
 * goes on when its process speaks while nobody else has the work, and where it completes the work, the work is completed, and later
 * attempts are told to stop. What is foreign changes nothing: another agent, another run, what a person has decided meanwhile.
 * A handover is not carried out here: the attempt is left open, for it may be refused.
 */
export function hear(work: Work, word: Word, clock: Clock): Heard {
  const { now } = clock;
  const found = attemptOf(work, word, clock);
  if ("why" in found) return found;
  // What was sent before another word that is here has been overtaken, or somebody says it again: no sign that its process lives.
  const isLatest = found.saidAt === null || word.at > found.saidAt;
  if (!isLatest && word.says !== "end") return { attempt: found, stop: [] };
  if (isLatest) found.saidAt = word.at;
  found.heardAt = now;
  Object.assign(found, { askedAt: null, asks: 0 });
  found.takenAt ??= now;
  if (found.startedAt === null && isBegun(word)) begin(work, found, now);
  if (word.process !== undefined) found.process = word.process;
  return word.says === "end" ? ends(work, found, word.end, clock) : lives(work, found, word, clock);
}

/** Whether it says that the work was begun: what only waited is given back, and stopped, too. */
function isBegun(word: Word): boolean {
  return word.says === "executing" || (word.says === "end" && !isGiven(word.end.how));
}

/** What was asked for is paid once, by whoever begins it first, not by a process with the same request that waits with it. */
function begin(work: Work, attempt: Attempt, now: Date): void {
  attempt.startedAt = now;
  if (attempt.counted || attempt.how !== null || !isUnderWay(work) || !isOurs(work, attempt)) return;
  const payer = work.attempts.find((one) => one.counted && isOneRequest(one, attempt));
  if (payer === undefined) return count(work, attempt);
  if (payer.how !== null || payer.startedAt !== null) return;
  payer.counted = false;
  attempt.counted = true;
}

/** The attempt that a word is of, or why there is none. A second process with the same request gets an attempt of its own. */
function attemptOf(work: Work, word: Word, { now }: Clock): Attempt | (Heard & { why: string }) {
  // An agent that could not read a request may not know its attempt; the run then says which it was.
  const number = word.attempt ?? work.attempt;
  const said = work.attempts.find(({ attempt }) => attempt === number);
  if (said === undefined) return foreign(`there is no attempt ${number}`);
  if (said.agent !== word.agent) return foreign(`attempt ${number} is of agent ${said.agent}`);
  if (said.runId !== word.runId) return foreign(`attempt ${number} is of another run`);
  const { startId } = word;
  if (startId === undefined || said.startId === startId) return said;
  const known = work.attempts.findLast((one) => one.startId === startId && one.runId === word.runId);
  if (said.startId === null && (known === undefined ? !endedByWord(said) : said.how === null)) {
    // Work that its agent had in hand already: it has told all of it again, under this number.
    if (known !== undefined && known.how === null) withdraw(work, known, `it went on as attempt ${number}`, now);
    said.startId = startId;
    return said;
  }
  if (known !== undefined) return known;
  const free = isSign(word) && isUnsaid(said) ? nobodys(work, said) : undefined;
  if (free !== undefined) {
    free.startId = startId;
    return free;
  }
  // A stop may be answered with all that the journal has: to answer each of those words with another stop would never end.
  const unwanted = (why: string) => ({ why, stop: isSign(word) ? [{ ...said, startId }] : [] });
  const isWanted = isUnderWay(work) && said.how === null && isOurs(work, said);
  // What another process has completed is completed, though the end of the first has overtaken all that it said.
  if (!isWanted && !(isCompletion(word) && mayComplete(work, said))) {
    return unwanted(`another process than that of attempt ${number} has its request, which is not wanted any more`);
  }
  if (unaskedStarts(work) >= MOST_UNASKED) {
    return unwanted(`${MOST_UNASKED} processes that were not asked have begun the work before this one`);
  }
  return second(work, said, startId);
}

/** What was asked for again and nobody has taken: whoever lives with an earlier request that silence had ended does it. */
function nobodys(work: Work, said: Attempt): Attempt | undefined {
  if (!isUnderWay(work) || !isOurs(work, said)) return undefined;
  return openOf(work).find((one) => one.takenAt === null && isOurs(work, one));
}

function isSign(word: Word): boolean {
  return word.says === "held" || (word.says === "executing" && word.sign);
}

function isCompletion(word: Word): boolean {
  return word.says === "end" && word.end.how === "completed";
}

/** The starts of a run that nobody asked for: each process of an agent that a queue has lent a copy of the request. */
const MOST_UNASKED = 50;

function unaskedStarts(work: Work): number {
  return work.attempts.filter(({ requests, runId }) => requests === 0 && runId === work.runId).length;
}

function foreign(why: string) {
  return { why, stop: [] };
}

/**
 * It has the request of the first, and so the time of it. Whether the first process lives is not known: the queue lends a request again
 * when it has died, or was cut off for a while.
 */
function second(work: Work, first: Attempt, startId: string): Attempt {
  work.attempt += 1;
  const own = { attempt: work.attempt, startId, process: null, counted: false, requests: 0 };
  const unknown = {
    takenAt: null,
    startedAt: null,
    heardAt: null,
    saidAt: null,
    askedAt: null,
    asks: 0,
    toldToStopAt: null,
  };
  const open = { how: null, endedAt: null, reason: null, exitCode: null, metrics: null };
  const attempt: Attempt = { ...first, ...own, ...unknown, ...open };
  work.attempts.push(attempt);
  return attempt;
}

/** A sign of life. */
function lives(work: Work, attempt: Attempt, word: Word, clock: Clock): Heard {
  if (endedByWord(attempt)) return { attempt, stop: [] };
  if (isUnsaid(attempt)) {
    if (!mayGoOn(work, attempt)) {
      const why = `attempt ${attempt.attempt} was over: ${attempt.reason}`;
      return { attempt, why, stop: tellToStop(attempt, clock) };
    }
    goOn(work, attempt);
  }
  renew(work, attempt, clock);
  if (work.status === "executing") keepLease(work, clock);
  if (!isUnderWay(work) || !isOurs(work, attempt)) return { attempt, stop: tellToStop(attempt, clock) };
  work.startedAt = attempt.startedAt;
  if (word.says === "executing" && word.progress !== null) {
    work.progress = Math.max(word.progress, work.progress ?? 0);
  }
  return { attempt, stop: laterThan(work, attempt, clock).flatMap((one) => tellToStop(one, clock)) };
}

/**
 * Attempts that others began while this one, as is known now, was alive. Half a lease must lie between: what this process said before
 * it died may arrive after the first word of the next.
 */
function laterThan(work: Work, attempt: Attempt, { now, leaseSeconds }: Clock): Attempt[] {
  return openOf(work).filter(
    ({ attempt: number, takenAt }) =>
      number > attempt.attempt && takenAt !== null && later(takenAt, leaseSeconds / 2) <= now,
  );
}
