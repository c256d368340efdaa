import { afterAll, beforeEach, expect, test } from "vitest";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { buildStep, buildTask } from "../support/database/build.ts";
import { ask, daysAgo, minutesAgo } from "./ask.ts";

const db = connect();
beforeEach(async () => {
  await db`truncate tasks cascade`;
});
afterAll(async () => {
  await db.end();
});

test("failed tasks are told newest first, with the last step that failed in the last attempt", async () => {
  const first = await buildTask(db, {
    status: "failed",
    created_at: minutesAgo(90),
    exit_code: 3,
    error_message: "no disk",
  });
  const second = await buildTask(db, {
    status: "failed",
    attempt: 2,
    request_text: "x".repeat(300),
    created_at: minutesAgo(80),
  });
  await buildTask(db, { status: "completed" });
  await buildStep(db, second, { attempt: 1, step_number: 9, status: "failed", action: "of an earlier attempt" });
  await buildStep(db, second, { attempt: 2, step_number: 1, status: "failed", action: "earlier" });
  await buildStep(db, second, { attempt: 2, step_number: 2, status: "failed", action: "copy" });
  await buildStep(db, second, { attempt: 2, step_number: 3, status: "completed", action: "clean up" });

  const rows = await ask(db, "failed-tasks");

  expect(rows).toMatchObject([
    { task_id: second, attempts: 2, failed_step: 2, failed_action: "copy", exit_code: null, error_message: "it broke" },
    {
      task_id: first,
      attempts: 1,
      failed_step: null,
      failed_action: null,
      exit_code: 3,
      error_message: "no disk",
      run_ms: 60_000,
    },
  ]);
  expect(rows[0].request_text).toHaveLength(200);
});

test("a task failed within the last days by the time it failed, whenever it was submitted", async () => {
  const now = new Date("2026-03-29T12:00:00Z");
  const at = (completed_at: string) =>
    buildTask(db, {
      status: "failed",
      created_at: new Date("2026-01-01T00:00:00Z"),
      completed_at: new Date(completed_at),
    });
  await at("2026-03-22T11:59:59.999Z");
  const inside = await at("2026-03-22T12:00:00Z");

  expect(await ask(db, "failed-tasks", { days: 7 }, now)).toMatchObject([{ task_id: inside }]);
  expect(await ask(db, "failed-tasks", { days: "8" }, now)).toHaveLength(2);
});

test("a day of a window has 24 hours, whatever the time zone of the session", async () => {
  const now = new Date("2026-03-29T12:00:00Z"); // 11 h after summer time began in Berlin
  await buildTask(db, { status: "failed", completed_at: new Date("2026-03-28T12:30:00Z") });
  await buildTask(db, { status: "failed", completed_at: new Date("2026-03-28T11:30:00Z") });

  const inBerlin = await db.begin(async (tx) => {
    await tx`set local time zone 'Europe/Berlin'`;
    return await ask(tx, "failed-tasks", { days: 1 }, now);
  });

  expect(inBerlin).toMatchObject([{ failed_at: "2026-03-28T12:30:00.000Z" }]);
});

test("every status is counted, those without tasks too", async () => {
  const old = minutesAgo(500);
  await buildTask(db, { status: "completed", created_at: old });
  await buildTask(db, { status: "completed" });
  await buildTask(db, { status: "executing" });
  await buildTask(db, { status: "cancelling" });

  const rows = await ask(db, "tasks-by-status");

  expect(rows.map(({ status, tasks, share }) => [status, tasks, share])).toEqual([
    ["pending", 0, 0],
    ["approved", 0, 0],
    ["executing", 1, 0.25],
    ["cancelling", 1, 0.25],
    ["completed", 2, 0.5],
    ["failed", 0, 0],
    ["rejected", 0, 0],
    ["cancelled", 0, 0],
  ]);
  expect(rows[4].oldest_created_at).toBe(old.toISOString());
  expect(rows[0].oldest_created_at).toBeNull();
});

test.each(["longest-running", "resource-use", "external-ai-use"] as const)(
  "%s tells work that is being stopped as cancelling",
  async (name) => {
    await buildTask(db, { status: "cancelling", external_ai_used: [{ model: "m", cost: 1 }] });

    expect(await ask(db, name)).toMatchObject([{ status: "cancelling" }]);
  },
);

test("without tasks every status has none and no share", async () => {
  const rows = await ask(db, "tasks-by-status");

  expect(rows).toHaveLength(8);
  for (const row of rows) expect(row).toMatchObject({ tasks: 0, share: null, newest_created_at: null });
});

test("the longest runs come first, those still running with the time until now", async () => {
  const now = new Date("2026-05-01T12:00:00Z");
  const from = (hours: number) => new Date(now.getTime() - hours * 3_600_000);
  const ended = (started: Date, minutes: number) => ({
    created_at: from(40),
    started_at: started,
    completed_at: new Date(started.getTime() + minutes * 60_000),
  });
  const short = await buildTask(db, ended(from(5), 10));
  const long = await buildTask(db, { ...ended(from(6), 90), status: "failed", attempt: 2 });
  const running = await buildTask(db, { status: "executing", created_at: from(2), started_at: from(1) });
  await buildTask(db, ended(from(24 * 8), 500)); // before the window
  await buildTask(db, { status: "cancelled", created_at: from(9), completed_at: from(1) }); // never began
  await buildTask(db, { status: "approved", created_at: from(9), attempt: 1, started_at: from(8) }); // waits for its next attempt
  await buildStep(db, long, { attempt: 1, step_number: 1, duration_ms: 9_000_000 });
  await buildStep(db, long, { attempt: 2, step_number: 1, duration_ms: 50 });
  await buildStep(db, long, { attempt: 2, step_number: 2, duration_ms: 70, action: "link" });
  await buildStep(db, long, { attempt: 2, step_number: 3, duration_ms: null, status: "running" });

  const rows = await ask(db, "longest-running", {}, now);

  expect(rows).toMatchObject([
    {
      task_id: long,
      run_ms: 5_400_000,
      slowest_step: 2,
      slowest_action: "link",
      slowest_step_ms: 70,
      total_ms: 127_800_000,
    },
    { task_id: running, run_ms: 3_600_000, total_ms: 7_200_000, ended_at: null, slowest_step: null },
    { task_id: short, run_ms: 600_000 },
  ]);
  expect(await ask(db, "longest-running", { limit: 1 }, now)).toHaveLength(1);
});

test("the success rate is told for each day, those without work included", async () => {
  const now = new Date("2026-03-03T12:00:00Z");
  const end = (status: "completed" | "failed" | "cancelled" | "rejected", completed_at: string) =>
    buildTask(db, { status, completed_at: new Date(completed_at) });
  await end("completed", "2026-02-27T23:59:59.999Z"); // the day before the first
  await end("completed", "2026-02-28T00:00:00Z");
  await end("completed", "2026-03-01T23:59:59.999Z");
  await end("completed", "2026-03-01T08:00:00Z");
  await end("failed", "2026-03-01T09:00:00Z");
  await end("cancelled", "2026-03-01T10:00:00Z");
  await end("rejected", "2026-03-03T10:00:00Z");

  const none = { ended: 0, completed: 0, failed: 0, cancelled: 0, rejected: 0, success_rate: null };
  expect(await ask(db, "success-rate", { days: 4 }, now)).toEqual([
    { ...none, day: "2026-02-28", ended: 1, completed: 1, success_rate: 1 },
    { ...none, day: "2026-03-01", ended: 4, completed: 2, failed: 1, cancelled: 1, success_rate: 0.6667 },
    { ...none, day: "2026-03-02" },
    { ...none, day: "2026-03-03", ended: 1, rejected: 1 },
  ]);
});

test("a day begins at midnight of the time zone, also on the day that summer time begins", async () => {
  const now = new Date("2026-03-29T22:30:00Z"); // the 30th in Berlin
  const end = (completed_at: string) => buildTask(db, { status: "completed", completed_at: new Date(completed_at) });
  await end("2026-03-28T22:59:00Z"); // the 28th, winter time
  await end("2026-03-28T23:00:00Z"); // the 29th begins
  await end("2026-03-29T21:59:00Z"); // the 29th ends, an hour short
  await end("2026-03-29T22:00:00Z"); // the 30th

  const rows = await ask(db, "success-rate", { days: 2, time_zone: "Europe/Berlin" }, now);

  expect(rows.map(({ day, completed }) => [day, completed])).toEqual([
    ["2026-03-29", 2],
    ["2026-03-30", 1],
  ]);
  expect(await ask(db, "success-rate", { days: 1 }, now)).toMatchObject([{ day: "2026-03-29", completed: 2 }]);
});

test("the days end today by the database's clock", async () => {
  await buildTask(db, { status: "completed", completed_at: new Date() });
  await buildTask(db, { status: "failed", completed_at: daysAgo(400) });

  const rows = await ask(db, "success-rate", { days: 365 });

  expect(rows).toHaveLength(365);
  expect(rows.reduce((sum, row) => sum + row.ended, 0)).toBe(1);
});
