import { afterAll, beforeEach, expect, test } from "vitest";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { ACTOR } from "../support/database/actor.ts";
import { buildDecision, buildStep, buildTask } from "../support/database/build.ts";
import { worldOf } from "../support/database/world.ts";
import { reply } from "../support/http/events.ts";
import { ask } from "./ask.ts";

const db = connect();
beforeEach(async () => {
  await db`truncate tasks cascade`;
});
afterAll(async () => {
  await db.end();
});

const start = new Date("2026-03-01T12:00:00Z");
const at = (seconds: number) => new Date(start.getTime() + seconds * 1000);
const events = (rows: any[]) =>
  rows.map(({ event, attempt, step_number }) =>
    [event, attempt, step_number].filter((part) => part !== null).join(" "),
  );

test("a task's decisions, dispatch, steps of every attempt and end are told in order, with offsets and durations", async () => {
  const task_id = await buildTask(db, {
    status: "failed",
    created_at: start,
    approval: "required",
    approved_by: "ada",
    approved_at: at(60),
    dispatched_at: at(200),
    started_at: at(202),
    completed_at: at(230),
    attempt: 2,
    exit_code: 4,
    error_message: "no disk",
    request_text: "copy it",
  });
  await buildDecision(db, task_id, {
    decision: "approve",
    reason: "looks safe",
    status_before: "pending",
    status_after: "approved",
    decided_at: at(60),
  });
  await buildDecision(db, task_id, {
    decision: "retry",
    decided_by: "bob",
    status_before: "failed",
    status_after: "approved",
    decided_at: at(190),
  });
  await buildStep(db, task_id, {
    attempt: 1,
    step_number: 1,
    status: "failed",
    timestamp: at(70),
    duration_ms: 5000,
    output_summary: "first try",
  });
  await buildStep(db, task_id, {
    attempt: 2,
    step_number: 2,
    status: "failed",
    timestamp: at(210),
    duration_ms: 20_000,
    output: ["ab", "cde"],
  });
  await buildStep(db, task_id, { attempt: 2, step_number: 1, timestamp: at(203), duration_ms: 6000, action: "open" });

  const rows = await ask(db, "task-timeline", { task_id });

  const none = {
    attempt: null,
    step_number: null,
    action: null,
    status: null,
    duration_ms: null,
    output_size_bytes: null,
    detail: null,
  };
  const agent = { ...none, actor: "code" };
  const time = (seconds: number) => ({ at: at(seconds).toISOString(), offset_ms: seconds * 1000 });
  expect(rows).toEqual([
    { ...none, ...time(0), event: "submitted", actor: "ada", detail: "copy it" },
    {
      ...none,
      ...time(60),
      event: "approved",
      actor: "ada",
      action: "pending -> approved",
      status: "approved",
      detail: "looks safe",
    },
    {
      ...agent,
      ...time(70),
      event: "step",
      attempt: 1,
      step_number: 1,
      action: "work",
      status: "failed",
      duration_ms: 5000,
      detail: "first try",
    },
    { ...none, ...time(190), event: "retried", actor: "bob", action: "failed -> approved", status: "approved" },
    { ...agent, ...time(200), event: "dispatched", attempt: 2, status: "executing" },
    { ...agent, ...time(202), event: "started", attempt: 2, status: "executing" },
    {
      ...agent,
      ...time(203),
      event: "step",
      attempt: 2,
      step_number: 1,
      action: "open",
      status: "completed",
      duration_ms: 6000,
    },
    {
      ...agent,
      ...time(210),
      event: "step",
      attempt: 2,
      step_number: 2,
      action: "work",
      status: "failed",
      duration_ms: 20_000,
      output_size_bytes: 5,
    },
    {
      ...agent,
      ...time(230),
      event: "ended",
      attempt: 2,
      action: "failed",
      duration_ms: 28_000,
      detail: "exit code 4: no disk",
    },
    {
      ...agent,
      ...time(230),
      event: "failed",
      attempt: 2,
      status: "failed",
      duration_ms: 28_000,
      detail: "exit code 4: no disk",
    },
  ]);
});

test("approval by policy is told, and a decision that ends the work only once", async () => {
  const byPolicy = await buildTask(db, { status: "approved", approval_reason: "no policy asks" });
  const rejected = await buildTask(db, { status: "rejected", created_at: start, completed_at: at(9) });
  await buildDecision(db, rejected, {
    decision: "reject",
    status_before: "pending",
    status_after: "rejected",
    decided_at: at(9),
  });

  const approved = await ask(db, "task-timeline", { task_id: byPolicy });
  expect(events(approved)).toEqual(["submitted", "approved"]);
  expect(approved[1]).toMatchObject({ actor: "policy", detail: "no policy asks" });
  expect(events(await ask(db, "task-timeline", { task_id: rejected }))).toEqual(["submitted", "rejected"]);
});

test.each([
  ["behind", -3600],
  ["ahead", 3600],
])(
  "steps lie between dispatch and end in the order of their numbers, though their agent's clock is %s",
  async (_, skew) => {
    const task_id = await buildTask(db, {
      created_at: start,
      dispatched_at: at(10),
      started_at: at(12),
      completed_at: at(30),
    });
    const step = async (step_number: number, seconds: number) =>
      await buildStep(db, task_id, { step_number, timestamp: at(seconds + skew), recorded_at: at(seconds) });
    await step(1, 14);
    await step(2, 13);
    await step(3, 20);

    const rows = await ask(db, "task-timeline", { task_id });

    expect(events(rows).slice(2)).toEqual([
      "dispatched 1",
      "started 1",
      "step 1 1",
      "step 1 2",
      "step 1 3",
      "ended 1",
      "completed 1",
    ]);
    expect(rows[4]).toMatchObject({ at: at(14 + skew).toISOString(), offset_ms: (14 + skew) * 1000 });
  },
);

test("the timeline of work that really went its way has its events in order", async () => {
  const world = worldOf(db);
  const task_id = await world.submit({ approval: "required" });
  await world.decide("approve", task_id);
  await world.dispatch();
  const [request] = world.requests();
  if (request === undefined) throw new Error("nothing was dispatched");
  const step = {
    step_number: 1,
    action: "say",
    status: "completed",
    started_at: new Date().toISOString(),
    duration_ms: 1,
  };
  await world.record(reply(request, "work_result", { status: "completed", exit_code: 0, steps: [step] }));

  const rows = await ask(db, "task-timeline", { task_id });

  expect(events(rows)).toEqual([
    "submitted",
    "approved",
    "dispatched 1",
    "started 1",
    "step 1 1",
    "ended 1",
    "completed 1",
  ]);
  expect(rows.at(-1)).toMatchObject({ detail: "exit code 0" });
});

test("every attempt is told, with who had it, how it ended and why", async () => {
  const world = worldOf(db);
  const task_id = await world.submit({ max_attempts: 3 });
  const next = async () => {
    await db`update tasks set ready_at = now() where task_id = ${task_id}`;
    await world.dispatch();
    const request = world.requests().at(-1);
    if (request === undefined) throw new Error("nothing was dispatched");
    return request;
  };
  const failed = { status: "failed", retryable: true, error_message: "R1", exit_code: 75 };
  await world.record(reply(await next(), "work_result", failed));
  const held = await next();
  await world.record(reply(held, "work_status", { status: "held", process: "host 7" }));
  await world.record(reply(held, "work_status", { status: "approved", message: "R2" }));
  await world.record(reply(await next(), "error", { error_code: 5001, error_message: "R3" }));
  await world.record(reply(await next(), "work_result", { status: "completed", exit_code: 0 }));

  const rows = await ask(db, "task-timeline", { task_id });

  expect(rows.filter(({ event }) => event === "ended").map((row) => [row.attempt, row.action, row.detail])).toEqual([
    [1, "failed_retryable", "exit code 75: R1"],
    [2, "handed_back", "R2"],
    [3, "failed_retryable", "R3 (error 5001)"],
    [4, "completed", "exit code 0"],
  ]);
  expect(events(rows)).toContain("taken 2");
  expect(events(rows).filter((event) => event.startsWith("dispatched"))).toHaveLength(4);
});

test("a timeline has pages: together they have each event once, in order", async () => {
  const task_id = await buildTask(db, { created_at: start });
  for (let n = 1; n <= 23; n += 1) await buildStep(db, task_id, { step_number: n, timestamp: at(10) });
  const { reports } = await import("../../lib/reports/all.ts");
  const page = async (cursor: object) =>
    await reports["task-timeline"].run(db, ACTOR, { task_id, limit: 4, ...cursor });

  const rows: object[] = [];
  for (let next: object | null = {}; next !== null; ) {
    const answered = await page(next);
    rows.push(...answered.rows);
    next = typeof answered.next_cursor === "string" ? { cursor: answered.next_cursor } : null;
  }

  expect(rows).toHaveLength(29);
  expect(rows).toEqual(await ask(db, "task-timeline", { task_id }));
  await expect(page({ cursor: "1" })).rejects.toMatchObject({ status: 400 });
});

test("a step that is told while somebody goes through the pages has none told again", async () => {
  const task_id = await buildTask(db, { created_at: start });
  await buildStep(db, task_id, { step_number: 2 });
  await buildStep(db, task_id, { step_number: 3 });
  const { reports } = await import("../../lib/reports/all.ts");
  const all = events(await ask(db, "task-timeline", { task_id }));
  const limit = all.indexOf("step 1 2") + 1;

  const first = await reports["task-timeline"].run(db, ACTOR, { task_id, limit });
  await buildStep(db, task_id, { step_number: 1 });
  const next = await reports["task-timeline"].run(db, ACTOR, { task_id, cursor: first.next_cursor ?? "" });

  expect([...events(first.rows), ...events(next.rows)]).toEqual(all);
  expect(events(await ask(db, "task-timeline", { task_id }))).toEqual(all.toSpliced(limit - 1, 0, "step 1 1"));
});

test("a timeline is cut where it is asked to be, and says so", async () => {
  const task_id = await buildTask(db);
  const { reports } = await import("../../lib/reports/all.ts");

  expect(await reports["task-timeline"].run(db, ACTOR, { task_id, limit: 6 })).toMatchObject({
    truncated: false,
    rows: { length: 6 },
  });
  expect(await reports["task-timeline"].run(db, ACTOR, { task_id, limit: 4 })).toMatchObject({
    truncated: true,
    rows: { length: 4 },
  });
});

test("a task that does not exist has no timeline", async () => {
  const task_id = "0198c5f2-7c1e-7000-8000-0123456789ab";

  await expect(ask(db, "task-timeline", { task_id })).rejects.toMatchObject({ status: 404, code: "not_found" });
});
