import fc from "fast-check";
import { afterAll, beforeEach, expect, test, vi } from "vitest";
import { automaticQuality, withOutcome } from "../../../bench/router/outcomes.ts";
import type { WorkRequestMessage } from "../../../lib/protocol/messages.ts";
import { giveFeedback } from "../../../lib/router/learn/feedback.ts";
import { learn } from "../../../lib/router/learn/learn.ts";
import { type Sums, withFeedback } from "../../../lib/router/score/fading.ts";
import { findPerformance } from "../../../lib/router/snapshot/performance.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { until } from "../../support/agents/agent.ts";
import { ACTOR, TEAM } from "../../support/database/actor.ts";
import { defineAgents } from "../../support/database/registry.ts";
import { worldOf } from "../../support/database/world.ts";
import { call, reply } from "../../support/http/events.ts";

vi.stubEnv("DATABASE_POOL_MAX", "10");
const { handler: decideWork } = await import("../../../functions/work/decide-work.ts");

const db = connect();
const settings = { halfLifeDays: 14 };
const HALF_LIFE_MS = 14 * 86_400_000;

beforeEach(async () => {
  await db`truncate tasks, agent_definitions, agent_performance, router_performance_metrics cascade`;
  await defineAgents(db, { name: "code" }, { name: "research" });
});
afterAll(async () => {
  await db.end();
});

type World = ReturnType<typeof worldOf>;
type Request = ReturnType<World["requests"]>[number];
/** Submits, starts and ends one piece of work and answers its task_id. */
async function live(world: World, result: object, more: Parameters<World["submit"]>[0] = {}): Promise<string> {
  const taskId = await world.submit({ to_agent: "code", ...more });
  await world.dispatch();
  await world.record(reply(requestFor(world, taskId), "work_result", { status: "completed", ...result }));
  return taskId;
}
const requestFor = (world: World, taskId: string) => {
  const request = world.requests().findLast(({ payload }) => payload.task_id === taskId);
  if (request === undefined) throw new Error("nobody was asked");
  return request;
};
const metricsOf = async (taskId: string) => {
  const [row] = await db`
    select succeeded, actual_quality_score::float8 as quality, prediction_error::float8 as error, confidence_score::float8 as confidence,
      execution_time_ms, completed_at, feedback_by
    from router_performance_metrics where task_id = ${taskId}`;
  return row;
};
const rates = async (agent: string) => {
  const [row] = await db`
    select success_rate::float8 as success, quality_score::float8 as quality, avg_execution_time_ms as ms
    from agent_definitions where agent_name = ${agent}`;
  return row;
};
const feedback = (task_id: string, body: object) =>
  call(decideWork, `/work/${task_id}/feedback`, { params: { task_id }, body });

test("with the result come the outcome of the decision, its error, and the agent's rates", async () => {
  const world = worldOf(db);
  const good = await live(world, {});
  const bad = await live(world, { status: "failed", error_message: "no" });

  const [first, second] = [await metricsOf(good), await metricsOf(bad)];
  expect(first).toMatchObject({ succeeded: true, quality: 1 });
  expect(first?.["error"]).toBeCloseTo(1 - first?.["confidence"], 3);
  expect(second).toMatchObject({ succeeded: false, quality: 0 });
  expect(second?.["error"]).toBeCloseTo(-second?.["confidence"], 3);
  expect(await rates("code")).toMatchObject({ success: 0.5, quality: 0.5 });
  expect(await rates("research")).toMatchObject({ success: null, quality: null, ms: null });
});

test("what was said twice, too late, or handed back teaches nothing more; each run of the work teaches once", async () => {
  const world = worldOf(db);
  const taskId = await live(world, { status: "failed" });
  const request = requestFor(world, taskId);
  await world.record(
    reply(request, "work_result", { status: "completed" }),
    reply(request, "work_result", { status: "failed" }),
  );
  expect(await findPerformance(db, TEAM)).toMatchObject([
    { agent: "code", work_type: "code.run", weight: 1, success_sum: 0 },
  ]);

  await world.decide("retry", taskId);
  await world.dispatch();
  await world.record(reply(requestFor(world, taskId), "work_status", { status: "approved" }));
  await world.dispatch();
  await world.record(reply(requestFor(world, taskId), "work_result", { status: "completed" }));

  const [performance] = await findPerformance(db, TEAM);
  expect(performance?.weight).toBeCloseTo(2, 3);
  expect(await metricsOf(taskId)).toMatchObject({ succeeded: true });
});

test("work whose last lease ran out has failed, and cancelled work says nothing of its agent", async () => {
  const world = worldOf(db);
  const silent = await world.submit({ to_agent: "code", max_attempts: 1 });
  const cancelled = await world.submit({ to_agent: "code" });
  await world.dispatch();
  await world.decide("cancel", cancelled);
  const request = world.requests().find(({ payload }) => payload.task_id === silent) as WorkRequestMessage;
  await world.record(reply(request, "work_status", { status: "executing" }));
  await world.silence();

  await world.expire();

  expect(await metricsOf(silent)).toMatchObject({ succeeded: false, quality: 0 });
  expect(await metricsOf(cancelled)).toMatchObject({ succeeded: null, completedAt: null });
  expect(await findPerformance(db, TEAM)).toMatchObject([{ weight: 1 }]);
});

test("the database adds up outcomes as the formula does, whenever they come and in whatever batches", async () => {
  const outcome = fc.record({
    succeeded: fc.boolean(),
    attempts: fc.integer({ min: 1, max: 6 }),
    ms: fc.integer({ min: 1, max: 100_000 }),
    /** Days after the first; they may come in any order. */
    day: fc.double({ min: 0, max: 200, noNaN: true }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(outcome, { minLength: 1, maxLength: 6 }), async (outcomes) => {
      await db`truncate tasks, agent_performance cascade`;
      const world = worldOf(db, { AGENT_PRESENCE_SECONDS: "0" });
      let expected: Sums | undefined;
      for (const { succeeded, attempts, ms, day } of outcomes) {
        const taskId = await world.submit({ to_agent: "code", max_attempts: 10 });
        const completed = Date.UTC(2026, 0, 1) + Math.round(day * 86_400_000);
        await db`
          update tasks set status = ${succeeded ? "completed" : "failed"}, attempts_used = ${attempts}, ready_at = null,
            error_message = ${succeeded ? null : "no"}, dispatched_at = ${new Date(completed - ms - 5)},
            started_at = ${new Date(completed - ms)}, completed_at = ${new Date(completed)}
          where task_id = ${taskId}`;
        await db.begin(async (tx) => await learn(tx, settings, [taskId]));
        const quality = automaticQuality(succeeded, attempts);
        expected = withOutcome(expected, { succeeded, quality, time_ms: ms, completed_at: completed }, HALF_LIFE_MS);
      }
      const [row] = await findPerformance(db, TEAM);
      for (const [name, value] of Object.entries(expected ?? {})) {
        expect((row as Record<string, unknown> | undefined)?.[name]).toBeCloseTo(value, 5);
      }
    }),
    { numRuns: 40 },
  );
});

test("many batches at once about the same agents neither wait for each other for ever nor lose an outcome", async () => {
  const world = worldOf(db, { AGENT_IN_FLIGHT: "1000" });
  const kinds = 40;
  for (let n = 0; n < 10 * kinds; n++) {
    await world.submit({ to_agent: n % 2 === 0 ? "code" : "research", work_type: `kind.${n % kinds}` });
  }
  await world.dispatch();
  const results = world.requests().map((request) => reply(request, "work_result", { status: "completed" }));
  // Each batch is about every kind of work, in an order of its own.
  const batches = Array.from({ length: 10 }, (_, n) => {
    const batch = results.filter((_result, index) => Math.floor(index / kinds) === n);
    return n % 2 === 0 ? batch : batch.toReversed();
  });

  const recorded = await Promise.all(batches.map((batch) => worldOf(db).record(...batch)));

  expect(recorded.map(({ ended, refused }) => [ended.length, refused.length])).toEqual(batches.map(() => [kinds, 0]));
  const performance = await findPerformance(db, TEAM);
  expect(performance).toHaveLength(kinds);
  for (const { weight } of performance) expect(weight).toBeCloseTo(10, 2);
  expect(await rates("code")).toMatchObject({ success: 1, quality: 1 });
});

test("rates count what another batch learns at the same moment", async () => {
  const world = worldOf(db);
  const taskIds = [];
  for (const work_type of ["kind.a", "kind.b"]) taskIds.push(await world.submit({ to_agent: "code", work_type }));
  await world.dispatch();
  const [good, bad] = taskIds.map((taskId) => requestFor(world, taskId)) as [Request, Request];

  let second: Promise<unknown> | undefined;
  await db.begin(async (tx) => {
    await tx`update tasks set status = 'completed', completed_at = now(), lease_until = null, deadline = null where task_id = ${good.payload.task_id}`;
    await learn(tx, settings, [good.payload.task_id]);
    second = worldOf(db).record(reply(bad, "work_result", { status: "failed" }));
    const waits = async () => (await tx`select from pg_locks where not granted`).length > 0;
    await Promise.race([second, until("the second one waits", waits)]);
  });
  await second;

  expect((await rates("code"))?.["success"]).toBeCloseTo(0.5, 2);
});

test("a person's word replaces what was measured and counts three times, and only the latest does", async () => {
  const taskId = await live(worldOf(db), {});
  await live(worldOf(db), {});

  const first = await feedback(taskId, { score: 0.5, by: "ada" });
  expect(first.json).toMatchObject({ agent: "code", actual_quality_score: 0.5, score: 0.5, by: "ada", comment: null });
  // One automatic 1.0 of the other work, and 0.5 three times.
  expect((await rates("code"))?.["quality"]).toBeCloseTo(2.5 / 4, 3);

  const second = await feedback(taskId, { score: 0, by: "bob", comment: "it broke the build" });
  expect(second.json.prediction_error).toBeCloseTo(-second.json.confidence, 3);
  expect(await metricsOf(taskId)).toMatchObject({ quality: 0, feedbackBy: "bob" });
  expect((await rates("code"))?.["quality"]).toBeCloseTo(1 / 4, 3);
  expect((await rates("code"))?.["success"]).toBe(1);
  const [{ qualityWeight } = {}] = await db`select quality_weight from agent_performance`;
  expect(qualityWeight).toBeCloseTo(4, 3);
});

test("feedback adds up as the formula does, long after the work", async () => {
  const taskId = await live(worldOf(db), {});
  await db`update tasks set completed_at = completed_at - interval '20 days'`;
  await db`update router_performance_metrics set completed_at = completed_at - interval '20 days'`;
  const [before] = await findPerformance(db, TEAM);
  const [{ completedAt } = {}] = await db<{ completedAt: Date }[]>`select completed_at from tasks`;

  await giveFeedback(db, ACTOR, settings, taskId, { score: 0.25, by: "ada" });

  const [after] = await findPerformance(db, TEAM);
  if (before === undefined || completedAt === undefined) throw new Error("nothing was learnt");
  const expected = withFeedback(before, { quality: 1, weight: 1 }, 0.25, completedAt.getTime(), HALF_LIFE_MS);
  expect(after?.quality_sum).toBeCloseTo(expected.quality_sum, 6);
  expect(after?.quality_weight).toBeCloseTo(expected.quality_weight, 6);
});

test("feedback on work that has not ended, was never routed or does not exist is refused", async () => {
  const world = worldOf(db);
  const open = await world.submit({ to_agent: "code" });
  const old = await live(world, {});
  await db`update tasks set routing_id = null, routed_at = null, routing = null where task_id = ${old}`;

  const score = { score: 1, by: "ada" };
  expect((await feedback(open, score)).json.code).toBe("not_possible_from_executing");
  expect((await feedback(old, score)).json.code).toBe("not_routed");
  expect((await feedback(crypto.randomUUID(), score)).status).toBe(404);
  expect((await feedback(old, { score: 1.5, by: "ada" })).json.errors[0].field).toBe("score");
});

test("of what callers ever wrote an agent is known in the latest 200 types of work", async () => {
  await db`
    insert into agent_performance (agent_name, work_type, weight, observed_at)
    select 'code', 'old.' || n, 1, now() - make_interval(days => n) from generate_series(1, 250) as n
  `;
  const world = worldOf(db);
  await world.submit({ to_agent: "code", work_type: "new.one" });
  await world.dispatch();
  await world.record(...world.requests().map((request) => reply(request, "work_result", { status: "completed" })));

  const [row] = await db`
    select count(*)::int as types, count(*) filter (where work_type in ('new.one', 'old.199'))::int as latest
    from agent_performance where agent_name = 'code'
  `;
  expect(row).toEqual({ types: 200, latest: 2 });
});
