import { afterAll, beforeEach, expect, test } from "vitest";
import { automaticQuality } from "../../../bench/router/outcomes.ts";
import { learn } from "../../../lib/router/learn/learn.ts";
import { findPerformance } from "../../../lib/router/snapshot/performance.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { TEAM } from "../../support/database/actor.ts";
import { defineAgents } from "../../support/database/registry.ts";
import { worldOf } from "../../support/database/world.ts";
import { HALF_LIFE_MS, OUTCOME_STEPS } from "./fading-table.ts";

const db = connect();
const settings = { halfLifeDays: HALF_LIFE_MS / 86_400_000 };

beforeEach(async () => {
  await db`truncate tasks, agent_definitions, agent_performance, router_performance_metrics cascade`;
  await defineAgents(db, { name: "code", presence: "assumed" });
});
afterAll(async () => {
  await db.end();
});

/** Work that has ended just so, and is learnt from; answers its task_id. */
async function ended(end: { succeeded: boolean; attempts: number; ms: number | null; at: number }): Promise<string> {
  const { succeeded, attempts, ms, at } = end;
  const taskId = await worldOf(db).submit({ to_agent: "code", max_attempts: 100 });
  await db`
    update tasks set status = ${succeeded ? "completed" : "failed"}, attempts_used = ${attempts}, ready_at = null,
      error_message = ${succeeded ? null : "no"}, dispatched_at = ${new Date(at - (ms ?? 0) - 5)},
      started_at = ${ms === null ? null : new Date(at - ms)}, completed_at = ${new Date(at)}
    where task_id = ${taskId}`;
  await db.begin(async (tx) => await learn(tx, settings, [taskId]));
  return taskId;
}

test("the database's sums follow the worked-out table", async () => {
  for (const { outcome, sums } of OUTCOME_STEPS) {
    const { succeeded, quality, time_ms: ms, completed_at: at } = outcome;
    await ended({ succeeded, attempts: quality === 0.8 ? 2 : 1, ms, at });
    const [row] = await findPerformance(db, TEAM);
    for (const [name, value] of Object.entries(sums))
      expect([name, row?.[name as keyof typeof sums]]).toEqual([name, expect.closeTo(value, 5)]);
  }
});

test.each([
  [true, 1, 1],
  [true, 2, 0.8],
  [true, 3, 0.6],
  [true, 4, 0.5],
  [true, 50, 0.5],
  [true, 0, 1],
  [false, 1, 0],
])(
  "automatic quality: succeeded %s with %i attempts is %f, and the error is above 0 where that is better than thought",
  async (succeeded, attempts, quality) => {
    const taskId = await ended({ succeeded, attempts, ms: 10, at: Date.now() });

    const [decision] = await db<{ quality: number; error: number; confidence: number }[]>`
    select actual_quality_score::float8 as quality, prediction_error::float8 as error, confidence_score::float8 as confidence
    from router_performance_metrics where task_id = ${taskId}`;
    expect(decision?.quality).toBeCloseTo(quality);
    expect(decision?.error).toBeCloseTo(quality - (decision?.confidence ?? 0));
    expect(automaticQuality(succeeded, attempts)).toBeCloseTo(quality);
  },
);
