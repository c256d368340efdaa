import { afterAll, beforeEach, expect, test } from "vitest";
import { handler as getHealth } from "../../../functions/system/get-health.ts";
import { handler as getWork } from "../../../functions/work/get-work.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { HandOver } from "../../../lib/work/core/schema.ts";
import { defineAgents } from "../../support/database/registry.ts";
import { worldOf } from "../../support/database/world.ts";
import { call } from "../../support/http/events.ts";

// Work that the database refuses to start stands before no other.

const db = connect();

beforeEach(async () => {
  await db`truncate tasks cascade`;
});
afterAll(async () => {
  await db.end();
});

/** All its attempts are used up, so that the next one breaks tasks_attempts_used_range. */
const poison = async (taskId: string) =>
  await db`update tasks set attempts_used = max_attempts where task_id = ${taskId}`;
const heldUp = async (taskId: string) =>
  (await call(getWork, `/work/${taskId}`, { params: { task_id: taskId } })).json.held_up;
const warnings = async () => (await call(getHealth, "/health")).json.warnings;
const retryNow = async () => await db`update dispatch_refusals set retry_at = now()`;
const lastingOf = async () => {
  const rows = await db<{ seconds: number }[]>`
    select round(extract(epoch from retry_at - now()))::int as seconds from dispatch_refusals
  `;
  return rows.map(({ seconds }) => seconds);
};

test("work that the database refuses to start is set apart with the reason, and all others are started", async () => {
  const world = worldOf(db);
  const first = await world.submit();
  const bad = await world.submit({ priority: 9 });
  const last = await world.submit({ priority: 1, hints: { concurrency_key: "a" } });
  await poison(bad);

  const { started, apart } = await world.dispatchNow();

  expect(started.map(({ taskId }) => taskId)).toEqual([first, last]);
  expect(world.requests().map(({ payload }) => payload.task_id)).toEqual([first, last]);
  expect(apart).toEqual([
    { taskId: bad, traceId: expect.any(String), reason: expect.stringContaining("tasks_attempts_used_range") },
  ]);
});

test("it is told in the work and in the health, with what to do, and ends as that says", async () => {
  const world = worldOf(db);
  const bad = await world.submit();
  await poison(bad);
  await world.dispatch();

  const told = await heldUp(bad);
  expect(told).toMatch(/^the database refuses to start it: .*tasks_attempts_used_range/);
  expect(told).toContain(`POST /work/${bad}/cancel`);
  expect(await warnings()).toEqual([`Work ${bad} waits: ${told}`]);

  await world.decide("cancel", bad);
  expect([await heldUp(bad), await warnings()]).toEqual([null, []]);
});

test("it is tried again less and less often, an hour apart at most", async () => {
  const world = worldOf(db);
  await poison(await world.submit());
  const seconds: number[] = [];
  for (let n = 0; n < 8; n++) {
    expect((await world.dispatchNow()).apart).toHaveLength(1);
    expect((await world.dispatchNow()).apart).toEqual([]);
    seconds.push(...(await lastingOf()));
    await retryNow();
  }

  expect(seconds).toEqual([60, 120, 240, 480, 960, 1920, 3600, 3600]);
});

test("once its row is right it starts, and nothing is told of it any more", async () => {
  const world = worldOf(db);
  const bad = await world.submit();
  await poison(bad);
  await world.dispatch();
  await db`update tasks set attempts_used = 0`;
  await retryNow();

  expect(await world.dispatch()).toBe(1);

  expect([await heldUp(bad), await warnings()]).toEqual([null, []]);
});

test("what was cancelled and is retried starts at once: it is a run of its own", async () => {
  const world = worldOf(db);
  const bad = await world.submit();
  await poison(bad);
  await world.dispatch();
  await world.decide("cancel", bad);
  await world.decide("retry", bad);

  expect([await heldUp(bad), await warnings()]).toEqual([null, []]);
  expect(await world.dispatch()).toBe(1);
});

test("what is handed over is tried at once with its next agent, and nothing is told of it until then", async () => {
  const world = worldOf(db);
  const bad = await world.submit();
  await poison(bad);
  await world.dispatch();
  await world.handOver(bad, HandOver.parse({ by: "ada", reason: "not hers", to_agent: "infra" }));

  expect([await heldUp(bad), await warnings()]).toEqual([null, []]);
  expect((await world.dispatchNow()).apart).toHaveLength(1);
  expect(await lastingOf()).toEqual([60]);
});

test("a later attempt that is refused waits a minute, however long an earlier one has waited", async () => {
  const world = worldOf(db);
  const bad = await world.submit();
  await poison(bad);
  for (let n = 0; n < 6; n++) {
    await world.dispatch();
    await retryNow();
  }
  await db`update tasks set attempts_used = 0`;
  expect(await world.dispatch()).toBe(1);
  await db`update task_attempts set how = 'withdrawn', ended_at = now() where how is null`;
  await db`update tasks set status = 'approved', ready_at = now(), lease_until = null, deadline = null`;
  await poison(bad);

  const seconds: number[] = [];
  for (let n = 0; n < 2; n++) {
    expect((await world.dispatchNow()).apart).toHaveLength(1);
    seconds.push(...(await lastingOf()));
    await retryNow();
  }

  expect(seconds).toEqual([60, 120]);
});

test("however many are refused, and whatever refuses them, those behind them start within their limits", async () => {
  await defineAgents(db, { name: "code", limits: { concurrency: 3 } }, { name: "research" });
  const world = worldOf(db);
  for (let n = 0; n < 120; n++) await world.submit({ to_agent: "research", priority: 9 });
  await db`update tasks set attempts_used = max_attempts where task_id in (select task_id from tasks order by task_id limit 60)`;
  // The next attempt of these has a row already.
  await db`
    insert into task_attempts (task_id, attempt, agent, run_id, counted, requests, requested_at, lease_until, ended_at, how)
    select task_id, 1, 'research', run_id, true, 1, now(), now(), now(), 'withdrawn' from tasks where attempts_used = 0
  `;
  for (let n = 0; n < 5; n++) await world.submit({ to_agent: "code" });

  const { started, apart } = await world.dispatchNow();

  expect(started.map(({ toAgent }) => toAgent)).toEqual(["code", "code", "code"]);
  expect(apart).toHaveLength(120);
});
