import { afterAll, beforeEach, expect, test } from "vitest";
import type { WorkRequestMessage } from "../../../lib/protocol/messages.ts";
import { giveFeedback } from "../../../lib/router/learn/feedback.ts";
import { findPerformance } from "../../../lib/router/snapshot/performance.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { ACTOR, TEAM } from "../../support/database/actor.ts";
import { defineAgents } from "../../support/database/registry.ts";
import { worldOf } from "../../support/database/world.ts";
import { reply } from "../../support/http/events.ts";

const db = connect();
const completed = { status: "completed" } as const;

beforeEach(async () => {
  await db`truncate tasks, agent_definitions, agent_performance, router_performance_metrics cascade`;
  await defineAgents(db, { name: "code" }, { name: "research" });
});
afterAll(async () => {
  await db.end();
});

type World = ReturnType<typeof worldOf>;

/** Starts what is ready and lets its agent fall silent for good; answers the request. */
async function fallSilent(world: World): Promise<WorkRequestMessage> {
  await db`update tasks set ready_at = now() where status = 'approved'`;
  await world.dispatch();
  const request = world.requests().at(-1);
  if (request === undefined) throw new Error("nobody was asked");
  await world.record(reply(request, "work_status", { status: "executing" }));
  await world.silence();
  await world.expire();
  return request;
}

/** Its agent was heard of so long ago that nobody waits for it to confirm a stop. */
async function longAgo(): Promise<void> {
  await db`update task_attempts set heard_at = heard_at - interval '1 day', ended_at = ended_at - interval '1 day'`;
}

/** What an agent counts in, and for how much. */
async function shownBy(name: string) {
  const row = (await findPerformance(db, TEAM)).find(({ agent }) => agent === name);
  const [rates] = await db`
    select success_rate::float8 as success, quality_score::float8 as quality, avg_execution_time_ms as ms
    from agent_definitions where agent_name = ${name}`;
  return { ...row, rates };
}

const outcomeOf = async (taskId: string) => {
  const [row] = await db`
    select succeeded, actual_quality_score::float8 as quality, feedback_score from router_performance_metrics
    where (routing_id, routed_at) = (select routing_id, routed_at from tasks where task_id = ${taskId})`;
  return row;
};

test("work that silence had failed and that completes late counts once: as completed", async () => {
  const world = worldOf(db);
  const taskId = await world.submit({ to_agent: "code", max_attempts: 1 });
  const request = await fallSilent(world);
  expect(await shownBy("code")).toMatchObject({ weight: 1, success_sum: 0, rates: { success: 0 } });

  for (let time = 0; time < 2; time++) await world.record(reply(request, "work_result", completed));

  const code = await shownBy("code");
  expect(code).toMatchObject({ weight: 1, success_sum: 1, quality_weight: 1, quality_sum: 1, time_weight: 1 });
  expect(code.rates).toMatchObject({ success: 1, quality: 1 });
  expect(await outcomeOf(taskId)).toEqual({ succeeded: true, quality: 1, feedbackScore: null });
});

test("after a handover the failure of the next agent is taken back, and the one that did it has done it", async () => {
  const world = worldOf(db);
  const taskId = await world.submit({ to_agent: "code", max_attempts: 2 });
  const first = await fallSilent(world);
  await longAgo();
  await world.handOver(taskId, { by: "ada", reason: "it is silent", to_agent: "research" });
  await fallSilent(world);
  expect(await shownBy("research")).toMatchObject({ weight: 1, rates: { success: 0 } });
  const [failed] = await db`select quality_score::float8 as quality, error_message from agent_transformation_events`;
  expect(failed).toMatchObject({ quality: 0, errorMessage: expect.stringContaining("fell silent") });

  await world.record(reply(first, "work_result", completed));

  const [task] = await db`select status, to_agent from tasks`;
  expect(task).toEqual({ status: "completed", toAgent: "code" });
  const nothing = { weight: 0, success_sum: 0, quality_weight: 0, quality_sum: 0, time_weight: 0, time_ms_sum: 0 };
  expect(await shownBy("research")).toMatchObject({ ...nothing, rates: { success: null, quality: null, ms: null } });
  expect(await shownBy("code")).toMatchObject({ weight: 1, success_sum: 1, rates: { success: 1, quality: 0.8 } });
  const [kept] = await db`select quality_score::float8 as quality, error_message from agent_transformation_events`;
  expect(kept).toEqual({ quality: 0.8, errorMessage: null });
});

test("a person's word on the failure goes with it", async () => {
  const world = worldOf(db);
  const taskId = await world.submit({ to_agent: "code", max_attempts: 1 });
  const request = await fallSilent(world);
  await giveFeedback(db, ACTOR, { halfLifeDays: 14 }, taskId, { score: 0.25, by: "ada" });
  expect(await shownBy("code")).toMatchObject({ quality_weight: 3, quality_sum: 0.75 });

  await world.record(reply(request, "work_result", completed));

  expect(await shownBy("code")).toMatchObject({ weight: 1, quality_weight: 1, quality_sum: 1 });
  expect(await outcomeOf(taskId)).toEqual({ succeeded: true, quality: 1, feedbackScore: null });
});

test("only the failure of this run is taken back, not that of the run before", async () => {
  const world = worldOf(db);
  const taskId = await world.submit({ to_agent: "code", max_attempts: 1 });
  await fallSilent(world);
  await longAgo();
  await world.decide("retry", taskId);
  const request = await fallSilent(world);
  expect((await shownBy("code")).weight).toBeCloseTo(2, 4);

  await world.record(reply(request, "work_result", completed));

  const code = await shownBy("code");
  expect(code.weight).toBeCloseTo(2, 4);
  expect(code.success_sum).toBeCloseTo(1, 4);
});

test("told long after, and in one batch with others, each counts by the time of its end", async () => {
  const world = worldOf(db);
  await world.submit({ to_agent: "code", max_attempts: 1 });
  const late = await fallSilent(world);
  for (const table of ["tasks", "router_performance_metrics"])
    await db`update ${db(table)} set completed_at = completed_at - interval '14 days' where completed_at is not null`;
  await db`update agent_performance set observed_at = observed_at - interval '14 days'`;
  await world.submit({ to_agent: "code" });
  await world.dispatch();
  const fresh = world.requests().at(-1) as WorkRequestMessage;

  await world.record(reply(fresh, "work_result", completed), reply(late, "work_result", completed));

  const code = await shownBy("code");
  // A half-life ago: half of the one, and the other.
  expect(code.weight).toBeCloseTo(1.5, 3);
  expect(code.success_sum).toBeCloseTo(1.5, 3);
});

test("what the agent has shown and was forgotten meanwhile is not taken back from nothing", async () => {
  const world = worldOf(db);
  await world.submit({ to_agent: "code", max_attempts: 1 });
  const request = await fallSilent(world);
  await db`truncate agent_performance`;

  await world.record(reply(request, "work_result", completed));

  expect(await shownBy("code")).toMatchObject({ weight: 1, success_sum: 1 });
});
