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

test("metrics are told by agent type: of its steps, of its tasks, and the means of what its results told", async () => {
  const one = await buildTask(db, {
    started_at: minutesAgo(50),
    completed_at: minutesAgo(49),
    actual_resources: { cpu: 1, mb: 10, host: "a" },
  });
  const two = await buildTask(db, {
    status: "failed",
    started_at: minutesAgo(50),
    completed_at: minutesAgo(47),
    actual_resources: { cpu: 2 },
  });
  await buildTask(db, { status: "executing", actual_resources: { cpu: 100 } });
  await buildTask(db, { completed_at: daysAgo(8), actual_resources: { cpu: 100 } });
  await buildTask(db, { to_agent: "research", started_at: null });
  const other = await buildTask(db, { status: "executing", to_agent: "infra" });
  await buildStep(db, one, { duration_ms: 100 });
  await buildStep(db, one, { step_number: 2, duration_ms: 300 });
  await buildStep(db, two, { duration_ms: 200, status: "failed" });
  await buildStep(db, two, { step_number: 2, duration_ms: null, status: "running" });
  await buildStep(db, two, { step_number: 3, duration_ms: 9999, timestamp: daysAgo(8) });
  await buildStep(db, other, { agent_type: "infra", status: "running", duration_ms: null });

  const none = {
    steps: 0,
    completed_steps: 0,
    failed_steps: 0,
    running_steps: 0,
    step_success_rate: null,
    mean_step_ms: null,
    p95_step_ms: null,
    completed_tasks: 0,
    failed_tasks: 0,
    task_success_rate: null,
    mean_run_ms: null,
    mean_metrics: {},
  };
  expect(await ask(db, "agent-metrics")).toEqual([
    {
      agent_type: "code",
      steps: 4,
      completed_steps: 2,
      failed_steps: 1,
      running_steps: 1,
      step_success_rate: 0.6667,
      mean_step_ms: 200,
      p95_step_ms: 290,
      completed_tasks: 1,
      failed_tasks: 1,
      task_success_rate: 0.5,
      mean_run_ms: 120_000,
      mean_metrics: { cpu: 1.5, mb: 10 },
    },
    { ...none, agent_type: "infra", steps: 1, running_steps: 1 },
    { ...none, agent_type: "research", completed_tasks: 1, task_success_rate: 1 },
  ]);
});

test("agents that did nothing in the window are not told", async () => {
  await buildTask(db, { completed_at: daysAgo(8) });

  expect(await ask(db, "agent-metrics")).toEqual([]);
});

test("failed steps are grouped by the first line of their error, the most frequent first", async () => {
  const one = await buildTask(db);
  const two = await buildTask(db, { to_agent: "infra" });
  const failed = (task_id: string, step_number: number, output_summary: string | null, more: object = {}) =>
    buildStep(db, task_id, {
      step_number,
      status: "failed",
      output_summary,
      timestamp: minutesAgo(60 - step_number),
      ...more,
    });
  await failed(one, 1, "\n  connect refused by 10512345\nstack", { action: "open" });
  await failed(one, 2, "connect refused by 98765432\nother stack", { action: "close" });
  await failed(two, 3, "connect refused by 77777777", { agent_type: "infra", action: "open" });
  await failed(one, 4, "HTTP 404");
  await failed(one, 5, "HTTP 500");
  await failed(one, 6, "too old", { timestamp: daysAgo(8) });
  await buildStep(db, one, { step_number: 7, output_summary: "fine" });

  const rows = await ask(db, "failed-steps");

  expect(rows).toEqual([
    {
      error: "connect refused by 77777777",
      steps: 3,
      tasks: 2,
      agent_types: ["code", "infra"],
      actions: ["close", "open"],
      first_seen: expect.any(String),
      last_seen: expect.any(String),
      latest_task_id: two,
    },
    expect.objectContaining({ error: "HTTP 500", steps: 1 }),
    expect.objectContaining({ error: "HTTP 404", steps: 1, agent_types: ["code"] }),
  ]);
  expect(Date.parse(rows[0].last_seen) - Date.parse(rows[0].first_seen)).toBe(120_000);
});

test("errors that differ in a UUID alone are one", async () => {
  const task = await buildTask(db);
  for (const [at, id] of ["0198C5F2-7c1e-7000-8000-0123456789ab", "11111111-2222-3333-4444-555555555555"].entries()) {
    await buildStep(db, task, { step_number: at + 1, status: "failed", output_summary: `no file ${id}` });
  }

  expect(await ask(db, "failed-steps")).toMatchObject([{ steps: 2, tasks: 1 }]);
});

test("a failed step without a summary has its task's error where the task ended with that attempt", async () => {
  const silent = { status: "failed", output_summary: null } as const;
  const ended = await buildTask(db, { status: "failed", attempt: 2, error_message: "its lease ran out\nmore" });
  await buildStep(db, ended, { attempt: 2, ...silent });
  await buildStep(db, ended, { attempt: 1, ...silent, output_summary: "  \n" });
  await buildStep(db, await buildTask(db, { status: "executing" }), silent);

  const rows = await ask(db, "failed-steps");

  expect(rows.map(({ error, steps }) => [error, steps])).toEqual([
    ["no reason told", 2],
    ["its lease ran out", 1],
  ]);
});
