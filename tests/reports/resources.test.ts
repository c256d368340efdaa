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

test("resource use is told by task, the longest run first, over the steps of every attempt", async () => {
  const big = await buildTask(db, {
    attempt: 2,
    estimated_resources: { cpu_seconds: 10 },
    actual_resources: { cpu_seconds: 12.5, camelCase: { kept_asIs: 1 } },
    started_at: minutesAgo(30),
    completed_at: minutesAgo(10),
  });
  const small = await buildTask(db, { status: "failed", started_at: minutesAgo(30), completed_at: minutesAgo(29) });
  await buildTask(db, { status: "pending" });
  await buildTask(db, { status: "approved" });
  await buildTask(db, { completed_at: daysAgo(8) });
  await buildStep(db, big, { attempt: 1, duration_ms: 100, output: ["abc"] });
  await buildStep(db, big, { attempt: 2, duration_ms: 250, output: ["ä", "xy"] });
  await buildStep(db, big, { attempt: 2, step_number: 2, duration_ms: null, status: "running" });

  const rows = await ask(db, "resource-use");

  expect(rows).toMatchObject([
    {
      task_id: big,
      run_ms: 1_200_000,
      attempts: 2,
      steps: 3,
      step_ms: 350,
      output_size_bytes: 7,
      estimated_resources: { cpu_seconds: 10 },
    },
    { task_id: small, run_ms: 60_000, attempts: 1, steps: 0, step_ms: 0, output_size_bytes: 0, actual_resources: null },
  ]);
  expect(rows[0].actual_resources).toEqual({ cpu_seconds: 12.5, camelCase: { kept_asIs: 1 } });
});

test("work that waits for its next attempt is told with what it has used, and without a run", async () => {
  const waiting = await buildTask(db, {
    status: "approved",
    attempt: 1,
    started_at: minutesAgo(5),
    actual_resources: { cpu: 1 },
  });
  const running = await buildTask(db, { status: "executing", started_at: minutesAgo(5) });

  const rows = await ask(db, "resource-use");

  expect(rows.map(({ task_id }) => task_id)).toEqual([running, waiting]);
  expect(rows[0].run_ms).toBeGreaterThanOrEqual(300_000);
  expect(rows[1]).toMatchObject({ run_ms: null, actual_resources: { cpu: 1 } });
});

test("resources of many kilobytes are left out by their size", async () => {
  await buildTask(db, { actual_resources: { samples: "x".repeat(10_000) } });

  expect(await ask(db, "resource-use")).toMatchObject([{ actual_resources: { omitted_bytes: 10_015 } }]);
});
