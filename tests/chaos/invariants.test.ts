import { expect, test } from "vitest";
import { type Effect, type History, outputOf, type Piece, type TaskTruth } from "../../chaos/history/history.ts";
import { INVARIANTS, violationsIn } from "../../chaos/invariants/all.ts";

const TASK = "01a00000-0000-7000-8000-000000000001";
const KEY = "11111111-1111-4111-8111-111111111111";
const CLEARED = 100_000;

const piece: Piece = {
  key: KEY,
  agent: "mason",
  plan: { ms: 100, steps: 2, lines: 1, fail: 0, fatal: false, hang: false },
  maxAttempts: 1,
  approval: "auto",
  lane: "main",
};

const task: TaskTruth = {
  taskId: TASK,
  requestId: KEY,
  status: "completed",
  attempt: 1,
  attemptsUsed: 1,
  maxAttempts: 1,
  toAgent: "mason",
  errorMessage: null,
  row: "{}",
};

function effect(run: string, at: number, what: Effect["what"], more: Partial<Effect> = {}): Effect {
  return { at, pid: 7, agent: "mason", taskId: TASK, attempt: 1, run, what, ...more };
}

function step(run: string, at: number): History["steps"][number] {
  return { taskId: TASK, attempt: 1, step: at, status: "completed", action: `step ${at} of ${run}` };
}

/** One piece of work that was submitted, done once, and is completed. */
const good: History = {
  calls: [{ at: 1_000, tookMs: 5, what: "submit", key: KEY, status: 201, taskId: TASK }],
  pieces: [piece],
  effects: [effect("r1", 2_000, "started"), effect("r1", 2_100, "finished")],
  changes: [
    { taskId: TASK, status: "approved", attempt: 0, attemptsUsed: 0, at: 1_000 },
    { taskId: TASK, status: "executing", attempt: 1, attemptsUsed: 1, at: 1_500 },
    { taskId: TASK, status: "completed", attempt: 1, attemptsUsed: 1, at: 2_500 },
  ],
  tasks: [task],
  steps: [step("r1", 1), step("r1", 2)],
  outbox: [],
  decisions: [],
  handovers: [],
  sent: [{ at: 1_600, by: "dispatch", type: "work_request", taskId: TASK, attempt: 1, to: "waybill-agent-mason" }],
  letters: [],
  hurt: [],
  crashes: [],
  poison: [],
  forged: [],
  outputs: [{ taskId: TASK, status: 200, text: outputOf("r1", piece.plan) }],
  clearedAt: CLEARED,
  lockedMs: 0,
  recoveryMs: 60_000,
  settledAt: CLEARED + 2_000,
  probedAt: CLEARED + 3_000,
  connections: 8,
};

const failed = { ...task, status: "failed", errorMessage: "fell silent" };
const FORGED = "FORGED-1";

test("a history in which everything was kept has no violation", () => {
  expect(violationsIn(good)).toEqual([]);
});

const BAD: [what: string, invariant: string, history: Partial<History>][] = [
  [
    "a promised task that is in no row",
    "I1",
    { tasks: [], changes: [], effects: [], sent: [], outputs: [], steps: [] },
  ],
  ["a 2xx answer without an id", "I1", { calls: [{ at: 1, tookMs: 1, what: "submit", key: KEY, status: 200 }] }],
  ["work that has not ended", "I1", { tasks: [{ ...task, status: "executing" }] }],
  ["work that failed though it was done", "I1", { tasks: [failed] }],
  ["work that failed without having run", "I1", { tasks: [failed], effects: [] }],
  [
    "work that failed after one cut of two attempts",
    "I1",
    {
      tasks: [{ ...failed, maxAttempts: 2 }],
      effects: [effect("r1", 2_000, "started")],
      hurt: [{ pid: 7, how: "killed", at: 2_050 }],
    },
  ],
  [
    "two ids for one key",
    "I2",
    {
      calls: [
        ...good.calls,
        { at: 2, tookMs: 1, what: "submit", key: KEY, status: 200, taskId: TASK.replace(/1$/, "2") },
      ],
    },
  ],
  ["two rows for one key", "I2", { tasks: [task, { ...task, taskId: TASK.replace(/1$/, "2") }] }],
  ["a row whose key nobody gave", "I2", { tasks: [task, { ...task, taskId: "x", requestId: "nobody's" }] }],
  [
    "other content under the same key",
    "I2",
    { calls: [...good.calls, { at: 2, tookMs: 1, what: "conflict", key: KEY, status: 200, taskId: TASK }] },
  ],
  [
    "a final state that was left",
    "I3",
    { changes: [...good.changes, { taskId: TASK, status: "approved", attempt: 1, attemptsUsed: 1, at: 3_000 }] },
  ],
  [
    "a state that was left out",
    "I3",
    { changes: good.changes.map((change) => ({ ...change, status: change.status.replace("approved", "pending") })) },
  ],
  [
    "an attempt that fell",
    "I3",
    {
      changes: [
        { taskId: TASK, status: "executing", attempt: 2, attemptsUsed: 1, at: 1_500 },
        { taskId: TASK, status: "completed", attempt: 1, attemptsUsed: 1, at: 2_500 },
      ],
    },
  ],
  ["output that lacks a part", "I4", { outputs: [{ taskId: TASK, status: 200, text: "r1 step 1 line 1\n" }] }],
  [
    "output of two runs, mixed",
    "I4",
    {
      effects: [
        ...good.effects,
        effect("r2", 2_000, "started", { pid: 8 }),
        effect("r2", 2_100, "finished", { pid: 8 }),
      ],
      outputs: [{ taskId: TASK, status: 200, text: "r1 step 1 line 1\nr2 step 2 line 1\n" }],
    },
  ],
  ["a step that is not recorded", "I4", { steps: [step("r1", 1)] }],
  ["completed work that no run finished", "I4", { effects: [effect("r1", 2_000, "started")] }],
  ["a row that carries what was forged", "I5", { forged: [FORGED], tasks: [{ ...task, row: `{"x": "${FORGED}"}` }] }],
  ["a step that was forged", "I5", { forged: [FORGED], steps: [...good.steps, { ...step("r1", 3), action: FORGED }] }],
  [
    "work that goes on long after its cancel",
    "I5",
    {
      tasks: [{ ...task, status: "cancelled" }],
      decisions: [{ taskId: TASK, decision: "cancel", at: 2_050 }],
      effects: [effect("r1", 2_000, "started"), effect("r1", CLEARED + 60_000, "finished")],
    },
  ],
  [
    "work that goes on with an agent after it was passed on",
    "I5",
    {
      handovers: [{ taskId: TASK, from: "mason", to: "clerk", at: 2_050 }],
      effects: [effect("r1", 2_000, "started"), effect("r1", CLEARED + 60_000, "finished")],
    },
  ],
  ["a request that was never sent", "I6", { sent: [] }],
  [
    "a request that was sent only when it was asked for anew",
    "I6",
    { sent: good.sent.map((sent) => ({ ...sent, at: 1_600 + 21_000 })), clearedAt: 1_000 },
  ],
  [
    "a request of an attempt that was never committed",
    "I6",
    { sent: good.sent.flatMap((sent) => [sent, { ...sent, attempt: 2 }]) },
  ],
  [
    "a message that stays in the outbox",
    "I6",
    { tasks: [{ ...task, status: "executing" }], outbox: [{ taskId: TASK, attempt: 1, dueForMs: 9_000 }] },
  ],
  [
    "a valid message among the dead",
    "I7",
    { letters: [{ queue: "waybill-results-dlq", body: "{}", taskId: TASK, valid: true }] },
  ],
  ["poison that is gone", "I7", { poison: [{ mark: "POISON-1", queue: "results" }] }],
  ["a process that ended by itself", "I8", { crashes: [{ name: "dispatch", how: "exit code 1", said: "ECONNRESET" }] }],
  ["a call that hung", "I8", { calls: good.calls.map((call) => ({ ...call, tookMs: 39_000 })) }],
  [
    "a call that was answered 500",
    "I8",
    { calls: [...good.calls, { at: 2, tookMs: 1, what: "approve", key: KEY, status: 500, error: "oh" }] },
  ],
  ["more attempts than may be", "I8", { changes: good.changes.map((change) => ({ ...change, attemptsUsed: 2 })) }],
  [
    "an attempt that was paid and never ran",
    "I8",
    { tasks: [{ ...task, maxAttempts: 3, attemptsUsed: 2 }], changes: good.changes.slice(0, 1) },
  ],
  ["connections that pile up", "I8", { connections: 90 }],
  [
    "stops that are told without an end",
    "I8",
    {
      sent: [
        ...good.sent,
        ...Array.from({ length: 50 }, (_, n) => ({
          at: 1_600 + n,
          by: "record-result",
          type: "work_status",
          taskId: TASK,
          attempt: 1,
          to: "waybill-agent-mason",
        })),
      ],
    },
  ],
  ["an agent that does what is another's", "I9", { effects: good.effects.map((one) => ({ ...one, agent: "clerk" })) }],
  ["a backlog that is never done", "I10", { settledAt: undefined }],
  ["a backlog that takes too long", "I10", { settledAt: CLEARED + 61_000 }],
  ["no work is done afterwards", "I10", { probedAt: undefined }],
];

test.each(BAD)("%s is against %s", (_what, invariant, change) => {
  const found = violationsIn({ ...good, ...change });
  expect(found.map((one) => one.invariant.split(" ")[0])).toContain(invariant);
});

test("each invariant is violated by one of these histories", () => {
  const names = Object.keys(INVARIANTS).map((name) => name.split(" ")[0]);
  expect(new Set(BAD.map(([, invariant]) => invariant))).toEqual(new Set(names));
});

const FAIR: [what: string, history: Partial<History>][] = [
  [
    "work that failed because each of its runs was killed",
    {
      tasks: [failed],
      changes: good.changes.map((change) => ({ ...change, status: change.status.replace("completed", "failed") })),
      effects: [effect("r1", 2_000, "started")],
      hurt: [{ pid: 7, how: "killed", at: 2_050 }],
    },
  ],
  [
    "work that completed after it was failed by silence",
    {
      changes: [
        ...good.changes.slice(0, 2),
        { taskId: TASK, status: "failed", attempt: 1, attemptsUsed: 1, at: 2_200 },
        { taskId: TASK, status: "completed", attempt: 1, attemptsUsed: 1, at: 2_500 },
      ],
    },
  ],
  [
    "work that ran twice, of which the output is that of one",
    {
      effects: [
        ...good.effects,
        effect("r2", 2_000, "started", { pid: 8 }),
        effect("r2", 2_300, "finished", { pid: 8 }),
      ],
    },
  ],
  ["work that ended just when it was cancelled", { decisions: [{ taskId: TASK, decision: "cancel", at: 2_050 }] }],
  [
    "work that hears nothing, and was cancelled while it ran",
    {
      pieces: [{ ...piece, plan: { ...piece.plan, hang: true } }],
      tasks: [{ ...task, status: "cancelled" }],
      decisions: [{ taskId: TASK, decision: "cancel", at: 2_050 }],
      effects: [effect("r1", 2_000, "started")],
      outputs: [],
    },
  ],
  [
    "a forged message among the dead",
    { forged: [FORGED], letters: [{ queue: "waybill-results-dlq", body: FORGED, taskId: TASK, valid: true }] },
  ],
];

test.each(FAIR)("%s is no violation", (_what, change) => {
  expect(violationsIn({ ...good, ...change })).toEqual([]);
});

test("who wants too much at once waits longer than the others", () => {
  const pieces = Array.from({ length: 40 }, (_, at) => ({
    ...piece,
    key: `key-${at}`,
    lane: at < 5 ? ("calm" as const) : ("noisy" as const),
  }));
  const rows = (calmMs: number) => ({
    pieces,
    calls: pieces.map(({ key }) => ({ ...good.calls[0], key, taskId: `task ${key}` }) as History["calls"][number]),
    tasks: pieces.map(({ key }) => ({ ...task, taskId: `task ${key}`, requestId: key, status: "cancelled" })),
    changes: pieces.map(({ key, lane }) => ({
      taskId: `task ${key}`,
      status: "completed",
      attempt: 1,
      attemptsUsed: 1,
      at: 1_000 + (lane === "calm" ? calmMs : 5_000),
    })),
    effects: [],
    sent: [],
    steps: [],
    outputs: [],
  });
  const unfair = (calmMs: number) =>
    violationsIn({ ...good, ...rows(calmMs) }).filter(({ message }) => message.includes("noisy"));
  expect(unfair(9_000)).toHaveLength(1);
  expect(unfair(1_000)).toEqual([]);
});
