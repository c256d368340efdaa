import fc from "fast-check";
import { expire } from "../../../lib/work/attempts/expire.ts";
import { hear, type Word } from "../../../lib/work/attempts/hear.ts";
import { stop, type ToStop } from "../../../lib/work/attempts/stop.ts";
import { type Attempt, later, openOf, type Work } from "../../../lib/work/attempts/work.ts";

// One piece of work, the processes of two agents, the queues that lose, repeat and reorder, and a clock that only the test moves.

const LEASE = 60;
const PICKUP = 900;

type Agent = "code" | "infra";
type Request = { to: "agent"; kind: "request"; agent: Agent; runId: string; attempt: number };
type Order = { to: "agent"; kind: "stop" | "ask"; about: ToStop };
type Letter = Request | Order | { to: "results"; word: Word };

/** What a process has in hand. It speaks as the kit does: held, executing, one last word, and that again when it is asked. */
type Run = {
  agent: Agent;
  startId: string;
  runId: string;
  attempt: number;
  state: "held" | "running" | "over";
  last: Word | undefined;
};
type Process = { agent: Agent; alive: boolean; runs: Run[]; beatAt: number };

export type World = {
  seconds: number;
  /** How many words were said: each is later than the one before. */
  said: number;
  work: Work;
  letters: Letter[];
  processes: Process[];
  starts: number;
  /** Whose process made a start. */
  agentOf: Map<string, Agent>;
  runs: number;
  /** What happened that the rules may be asked about. */
  completedBy: { runId: string; attempt: number }[];
  hasCrashed: boolean;
  hasBeenSilent: boolean;
  /** The starts that were known when a person cancelled. */
  knownAtCancel: (string | null)[];
  finals: string[];
};

const at = (world: World) => new Date(world.seconds * 1000);
const said = (world: World) => new Date(++world.said);
const clock = (world: World) => ({ now: at(world), dice: () => 0, leaseSeconds: LEASE, pickupSeconds: PICKUP });

export const MAX_ATTEMPTS = 3;

export function newWorld(maxAttempts = MAX_ATTEMPTS): World {
  const nothing = {
    leaseUntil: null,
    deadline: null,
    completedAt: null,
    startedAt: null,
    progress: null,
    exitCode: null,
  };
  const work: Work = {
    teamId: "team",
    taskId: "task",
    traceId: "trace",
    runId: "run 1",
    status: "approved",
    stopping: null,
    toAgent: "code",
    attempt: 0,
    attemptsUsed: 0,
    maxAttempts,
    timeoutSeconds: 600,
    handedBack: 0,
    notBefore: null,
    readyAt: new Date(0),
    ...nothing,
    errorMessage: null,
    endedBy: null,
    metrics: null,
    externalAi: null,
    attempts: [],
  };
  const processes = (["code", "code", "infra"] as const).map((agent) => ({ agent, alive: true, runs: [], beatAt: 0 }));
  const counts = { starts: 0, agentOf: new Map<string, Agent>(), runs: 1, knownAtCancel: [] };
  return {
    seconds: 1,
    said: 0,
    work,
    letters: [],
    processes,
    ...counts,
    completedBy: [],
    hasCrashed: false,
    hasBeenSilent: false,
    finals: [],
  };
}

/** What the dispatcher's statement does. */
export function dispatch(world: World): void {
  const { work } = world;
  if (work.status !== "approved" || (work.readyAt ?? at(world)) > at(world)) return;
  work.attempt += 1;
  const attempt: Attempt = {
    attempt: work.attempt,
    agent: work.toAgent ?? "code",
    runId: work.runId,
    startId: null,
    process: null,
    counted: true,
    requests: 1,
    requestedAt: at(world),
    takenAt: null,
    startedAt: null,
    heardAt: null,
    leaseUntil: later(at(world), PICKUP),
    leaseTokens: null,
    saidAt: null,
    askedAt: null,
    asks: 0,
    toldToStopAt: null,
    endedAt: null,
    how: null,
    reason: null,
    exitCode: null,
    metrics: null,
  };
  work.attempts.push(attempt);
  const { leaseUntil } = attempt;
  Object.assign(work, {
    status: "executing",
    readyAt: null,
    leaseUntil,
    deadline: later(leaseUntil, 660),
    startedAt: null,
  });
  work.attemptsUsed += 1;
  world.letters.push(requestOf(attempt));
}

function requestOf({ agent, runId, attempt }: Pick<Attempt, "agent" | "runId" | "attempt">): Request {
  return { to: "agent", kind: "request", agent: agent as Agent, runId, attempt };
}

export function sweep(world: World): void {
  const { again, ask, stop: stops } = expire(world.work, clock(world));
  world.letters.push(...again.map(requestOf));
  for (const about of ask) world.letters.push({ to: "agent", kind: "ask", about: { ...about } });
  tellToStop(world, stops);
  noteFinal(world);
}

function tellToStop(world: World, stops: ToStop[]): void {
  for (const about of stops) world.letters.push({ to: "agent", kind: "stop", about: { ...about } });
}

function noteFinal({ work, finals }: World): void {
  if (finals.at(-1) !== work.status) finals.push(work.status);
}

export function cancel(world: World): void {
  const { work } = world;
  if (work.status !== "approved" && work.status !== "executing") return;
  world.knownAtCancel = work.attempts.map(({ startId }) => startId);
  tellToStop(world, stop(work, "cancelled", "a person", clock(world)));
  noteFinal(world);
}

export function handOver(world: World): void {
  const { work } = world;
  if (work.status !== "approved" && (work.status !== "executing" || work.stopping !== null)) return;
  work.toAgent = work.toAgent === "code" ? "infra" : "code";
  tellToStop(world, stop(work, "approved", "a person", clock(world)));
}

export function retry(world: World): void {
  const { work } = world;
  if (work.status !== "failed" && work.status !== "cancelled") return;
  world.runs += 1;
  const anew = {
    runId: `run ${world.runs}`,
    attemptsUsed: 0,
    handedBack: 0,
    endedBy: null,
    exitCode: null,
    errorMessage: null,
  };
  Object.assign(work, { ...anew, completedAt: null, status: "approved", readyAt: at(world), startedAt: null });
  tellToStop(world, stop(work, "approved", "a person", clock(world)));
  noteFinal(world);
}

/** Time passes; every process that lives says so in time, unless it is frozen for as long. */
export function pass(world: World, seconds: number, frozen: readonly number[] = []): void {
  for (const until = world.seconds + seconds; world.seconds < until; ) {
    const step = Math.min(LEASE / 3, until - world.seconds);
    world.seconds += step;
    world.processes.forEach((process, index) => {
      if (frozen.includes(index) || !process.alive) return;
      for (const run of process.runs)
        if (run.state !== "over") say(world, run, run.state === "held" ? "held" : "executing");
    });
  }
  if (frozen.length > 0 && seconds > LEASE) world.hasBeenSilent = true;
}

function say(world: World, run: Run, says: "held" | "executing"): void {
  const { agent, runId, attempt, startId } = run;
  const about = { agent, runId, attempt, startId, process: undefined, at: said(world) };
  world.letters.push({
    to: "results",
    word: says === "held" ? { ...about, says } : { ...about, says, progress: null, sign: true },
  });
}

/** A run ends by its handler's word, or because it was stopped. */
export function end(
  world: World,
  process: number,
  how: "completed" | "failed_retryable" | "handed_back" | "cancelled",
): void {
  const run = world.processes[process]?.runs.find(({ state }) => state === (how === "cancelled" ? state : "running"));
  if (run !== undefined && run.state !== "over") endRun(world, run, how);
}

function endRun(world: World, run: Run, how: "completed" | "failed_retryable" | "handed_back" | "cancelled"): void {
  const { agent, runId, attempt, startId } = run;
  const ending = { how, exitCode: null, reason: how === "completed" ? null : how, metrics: null };
  run.state = "over";
  run.last = { agent, runId, attempt, startId, process: undefined, at: said(world), says: "end", end: ending };
  if (how === "completed") world.completedBy.push({ runId, attempt });
  world.letters.push({ to: "results", word: run.last });
}

/** Held work gets its turn. */
export function begin(world: World, process: number): void {
  const run = world.processes[process]?.runs.find(({ state }) => state === "held");
  if (run === undefined) return;
  run.state = "running";
  say(world, run, "executing");
}

/** It starts again at once; where it `remembers` by its journal, it says of what it had begun that its process ended. */
export function crash(world: World, process: number, remembers: boolean): void {
  const one = world.processes[process];
  if (one === undefined || !one.alive) return;
  if (one.runs.some(({ state }) => state === "running")) world.hasCrashed = true;
  // What the queue had lent comes again.
  for (const { state, runId, attempt } of one.runs) {
    if (state !== "over") world.letters.push(requestOf({ agent: one.agent, runId, attempt }));
  }
  if (remembers)
    for (const run of one.runs.filter(({ state }) => state === "running")) endRun(world, run, "failed_retryable");
  one.runs = [];
}

/** Delivers the letter at `index`; `keep`: and once more later. A request goes to one process, as a queue does it. */
export function deliver(world: World, index: number, process: number, keep: boolean): void {
  const letter = keep ? world.letters[index] : world.letters.splice(index, 1)[0];
  if (letter === undefined) return;
  if (letter.to === "results") {
    tellToStop(world, hear(world.work, letter.word, clock(world)).stop);
    return noteFinal(world);
  }
  if (letter.kind !== "request") return obey(world, letter);
  const own = world.processes.filter(({ agent }) => agent === letter.agent);
  const to = own[process % own.length];
  if (to?.alive === true) take(world, to, letter);
}

function take(world: World, process: Process, { runId, attempt }: Request): void {
  const known = process.runs.find((run) => run.runId === runId && (run.state !== "over" || isAnswer(run)));
  if (known !== undefined) {
    // As the kit: what is done is answered to the same request again, what is under way is not.
    if (attempt < known.attempt || (attempt === known.attempt && known.last === undefined)) return;
    known.attempt = attempt;
    if (known.last !== undefined)
      world.letters.push({ to: "results", word: { ...known.last, attempt, at: said(world) } });
    return;
  }
  if (process.runs.some((run) => run.runId === runId && run.attempt >= attempt)) return;
  const run: Run = {
    agent: process.agent,
    startId: `start ${++world.starts}`,
    runId,
    attempt,
    state: "held",
    last: undefined,
  };
  process.runs.push(run);
  world.agentOf.set(run.startId, run.agent);
  say(world, run, "held");
}

function isAnswer({ last }: Run): boolean {
  return last?.says === "end" && last.end.how === "completed";
}

/** Orders find the process that they are for: it is passed from one to another until then. */
function obey(world: World, { kind, about }: Order): void {
  for (const { agent, alive, runs } of world.processes) {
    if (!alive || agent !== about.agent) continue;
    for (const run of runs) {
      const meant =
        about.startId === null
          ? run.attempt <= about.attempt && run.runId === about.runId
          : run.startId === about.startId;
      if (!meant) continue;
      if (run.last !== undefined) world.letters.push({ to: "results", word: { ...run.last, at: said(world) } });
      else if (kind === "stop") endRun(world, run, "cancelled");
      else say(world, run, run.state === "held" ? "held" : "executing");
    }
  }
}

/** What must hold after every move: what the table's constraints say, and more. */
export function isSound({ work, agentOf }: World): string | undefined {
  const executing = work.status === "executing";
  const open = openOf(work);
  if (executing !== (work.leaseUntil !== null) || executing !== (work.deadline !== null))
    return "a lease and no work, or work without";
  if ((work.status === "approved") !== (work.readyAt !== null)) return "ready and not approved, or the other way";
  if ((work.status === "failed") !== (work.errorMessage !== null))
    return "failed without a reason, or a reason and not failed";
  const final = ["completed", "failed", "cancelled"].includes(work.status);
  if (final !== (work.completedAt !== null)) return "final without a time";
  if (work.stopping !== null && !executing) return "stopping what nobody does";
  if (executing && open.length === 0) return "executing and no attempt is open";
  if (work.status === "approved" && open.length > 0) return "an attempt is open and the work waits for the next";
  if (work.attemptsUsed < 0 || work.attemptsUsed > work.maxAttempts) return `${work.attemptsUsed} attempts used`;
  if (work.attemptsUsed !== work.attempts.filter((one) => one.counted && one.runId === work.runId).length)
    return `${work.attemptsUsed} attempts used, and others count`;
  if (work.status === "approved" && work.attemptsUsed === work.maxAttempts)
    return "it waits for an attempt, and none is left";
  if (new Set(work.attempts.map(({ attempt }) => attempt)).size < work.attempts.length)
    return "two attempts of one number";
  if (work.attempts.some(({ attempt }) => attempt > work.attempt)) return "an attempt beyond the latest";
  if (work.attempts.some(({ agent, startId }) => startId !== null && agentOf.get(startId) !== agent))
    return "a process has an attempt of another agent";
  return undefined;
}

export const moves = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      move: fc.constant("deliver" as const),
      which: fc.nat(99),
      process: fc.nat(2),
      keep: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ move: fc.constant("begin" as const), process: fc.nat(2) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      move: fc.constant("end" as const),
      process: fc.nat(2),
      how: fc.constantFrom("completed" as const, "failed_retryable" as const, "handed_back" as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ move: fc.constant("pass" as const), seconds: fc.integer({ min: 1, max: 200 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      move: fc.constant("freeze" as const),
      process: fc.nat(2),
      seconds: fc.integer({ min: 1, max: 300 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ move: fc.constant("sweep" as const) }) },
  { weight: 3, arbitrary: fc.record({ move: fc.constant("dispatch" as const) }) },
  { weight: 1, arbitrary: fc.record({ move: fc.constant("lose" as const), which: fc.nat(99) }) },
  {
    weight: 1,
    arbitrary: fc.record({ move: fc.constant("crash" as const), process: fc.nat(2), remembers: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ move: fc.constant("cancel" as const) }) },
  { weight: 1, arbitrary: fc.record({ move: fc.constant("handOver" as const) }) },
  { weight: 1, arbitrary: fc.record({ move: fc.constant("retry" as const) }) },
);
export type Move = typeof moves extends fc.Arbitrary<infer M> ? M : never;

export function play(world: World, move: Move): void {
  const pick = (which: number) => (world.letters.length === 0 ? 0 : which % world.letters.length);
  switch (move.move) {
    case "deliver":
      return deliver(world, pick(move.which), move.process, move.keep);
    case "begin":
      return begin(world, move.process);
    case "end":
      return end(world, move.process, move.how);
    case "pass":
      return pass(world, move.seconds);
    case "freeze":
      return pass(world, move.seconds, [move.process]);
    case "sweep":
      return sweep(world);
    case "dispatch":
      return dispatch(world);
    case "lose":
      return void world.letters.splice(pick(move.which), 1);
    case "crash":
      return crash(world, move.process, move.remembers);
    case "cancel":
      return cancel(world);
    case "handOver":
      return handOver(world);
    case "retry":
      return retry(world);
  }
}

/** The faults are over: everything is delivered, every run that lives comes to `how`, and time passes until nothing moves. */
export function settleDown(world: World, how: "completed" | "failed_retryable"): void {
  for (let round = 0; round < 400; round++) {
    while (world.letters.length > 0) {
      const letter = world.letters[0];
      const holder = letter?.to === "agent" && letter.kind === "request" ? holderOf(world, letter) : 0;
      deliver(world, 0, holder, false);
    }
    for (const index of world.processes.keys()) {
      begin(world, index);
      end(world, index, how);
    }
    dispatch(world);
    pass(world, 20);
    sweep(world);
    const rests = world.work.status !== "approved" && openOf(world.work).length === 0 && world.letters.length === 0;
    if (rests) return;
  }
}

/** Which of the processes of its agent has what is asked for; the first where none has it. */
function holderOf(world: World, { agent, runId }: Request): number {
  const own = world.processes.filter((process) => process.agent === agent);
  const holder = own.findIndex(({ runs }) => runs.some((run) => run.runId === runId && run.state !== "over"));
  return Math.max(0, holder);
}
