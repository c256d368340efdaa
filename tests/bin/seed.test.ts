import { afterAll, beforeEach, expect, test } from "vitest";
import { handler as listWork } from "../../functions/work/list-work.ts";
import { REPORT_NAMES, reports } from "../../lib/reports/all.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { Task } from "../../lib/work/core/answers.ts";
import { findTask, type TaskRow } from "../../lib/work/core/task-row.ts";
import { toTask } from "../../lib/work/reading/task.ts";
import { ACTOR } from "../support/database/actor.ts";
import { worldOf } from "../support/database/world.ts";
import { call } from "../support/http/events.ts";
import { run } from "./run.ts";

const db = connect();
beforeEach(async () => {
  await db`truncate tasks, llm_calls cascade`;
});
afterAll(async () => {
  await db.end();
});

const tables = ["tasks", "task_decisions", "execution_logs", "execution_output", "llm_calls", "outbox"];

/** Every row of every table, to its last column. */
async function dump(): Promise<Record<string, unknown[]>> {
  const entries = tables.map(async (table) => {
    const rows = await db<{ row: string }[]>`select t::text as row from ${db(table)} as t order by 1`;
    return [table, rows.map(({ row }) => row)] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

test("the sample data cover every status with believable logs of several agents", async () => {
  const { code, out, err } = await run("seed");

  expect(code).toBe(0);
  expect(err).toMatch(/^Database 127\.0\.0\.1:\d+\/t_\w+, of DATABASE_URL\n$/);
  expect(out).toContain("Wrote 10 sample tasks with 25 steps and 3 outputs");
  const counts = await db<
    { status: string; n: number }[]
  >`select status, count(*)::int as n from tasks group by status`;
  expect(Object.fromEntries(counts.map(({ status, n }) => [status, n]))).toEqual({
    pending: 1,
    approved: 1,
    executing: 1,
    completed: 3,
    failed: 2,
    rejected: 1,
    cancelled: 1,
  });
  const [logs] = await db`select count(*)::int as steps, count(distinct agent_type)::int as agents from execution_logs`;
  expect(logs).toEqual({ steps: 25, agents: 5 });
  const [ai] =
    await db`select count(*)::int as n from tasks where status = 'completed' and external_ai_used is not null`;
  expect(ai).toEqual({ n: 1 });
});

test("run again, also by several at once, it changes nothing", async () => {
  await run("seed");
  const before = await dump();
  const again = await run("seed");
  const atOnce = await Promise.all([run("seed"), run("seed"), run("seed")]);

  expect(before["execution_logs"]).toHaveLength(25);
  expect(await dump()).toEqual(before);
  for (const { code, out } of [again, ...atOnce]) {
    expect(code).toBe(0);
    expect(out).toContain("nothing was changed");
  }
});

test("several at once on an empty database write the sample data once", async () => {
  const all = await Promise.all([run("seed"), run("seed"), run("seed")]);

  expect(all.map(({ code }) => code)).toEqual([0, 0, 0]);
  expect((await dump())["execution_logs"]).toHaveLength(25);
});

test("work that is there stays as it is, and a sample that was deleted comes back with its logs", async () => {
  await run("seed");
  await db`update tasks set created_by = 'someone else' where status = 'pending'`;
  await db`delete from tasks where external_ai_used is not null`;
  expect((await dump())["execution_logs"]).toHaveLength(20);

  const { out } = await run("seed");

  expect(out).toContain("Wrote 1 sample tasks with 5 steps and 1 outputs");
  expect(out).toContain("The other 9 were there already");
  expect(await db`select created_by from tasks where status = 'pending'`).toEqual([{ createdBy: "someone else" }]);
  expect((await dump())["execution_logs"]).toHaveLength(25);
});

test("the samples answer like work that was really done, and lists have them in the order of their making", async () => {
  await run("seed");

  const { json } = await call(listWork, "/work?limit=100");
  const made = json.items.map((task: { created_at: string }) => task.created_at);
  expect(made).toHaveLength(10);
  expect(made).toEqual(made.toSorted().toReversed());
  for (const { task_id } of json.items) Task.parse(toTask((await findTask(db, ACTOR, task_id)) as TaskRow));
  const [times] = await db`
    select count(*) filter (where timestamp < created_at or timestamp > coalesce(completed_at, now()))::int as steps_outside,
      count(*) filter (where timestamp + make_interval(secs => duration_ms / 1000.0) > coalesce(completed_at, now()))::int as steps_past_the_end
    from execution_logs join tasks using (task_id)
  `;
  expect(times).toEqual({ stepsOutside: 0, stepsPastTheEnd: 0 });
});

test("the attempts at language models add up to what their task says of them: a fallback and an unknown cost among them", async () => {
  await run("seed");

  const uses = (await reports["external-ai-use"].run(db, ACTOR, {})).rows;
  const fallbacks = (await reports["llm-fallbacks"].run(db, ACTOR, {})).rows;
  const [spend] = (await reports["llm-spend"].run(db, ACTOR, {})).rows as { cost: number }[];
  const calls = await db`
    select model_asked, outcome, cost_usd::float8 as cost, cost_unknown, attempt_number
    from llm_calls join tasks using (task_id, trace_id) order by llm_calls.started_at
  `;
  expect(calls).toMatchObject([
    { modelAsked: "claude-sonnet-4-5", outcome: "answered", cost: 0.21276 },
    { modelAsked: "claude-sonnet-4-5", outcome: "answered", cost: 0.19965 },
    { modelAsked: "claude-sonnet-4-5", outcome: "failed", cost: 0, attemptNumber: 1 },
    { modelAsked: "gpt-5-mini", outcome: "answered", attemptNumber: 2 },
    { modelAsked: "llama3.3", outcome: "answered", cost: null, costUnknown: "no price for llama3.3" },
  ]);
  expect(uses).toMatchObject([{ uses: 5, tokens: 58_210, cost: spend?.cost, unknown_cost_uses: 1 }]);
  expect(fallbacks).toContainEqual(
    expect.objectContaining({ model: "claude-sonnet", calls: 3, fallbacks: 1, main_error: "server_error" }),
  );
});

test("a sample that comes back takes its attempts at models along", async () => {
  await run("seed");
  await db`delete from tasks where external_ai_used is not null`;

  await run("seed");

  expect(await db`select 1 from llm_calls`).toHaveLength(5);
  expect(await db`select 1 from llm_calls join tasks using (task_id)`).toHaveLength(5);
});

test("every report has something to tell of the samples", async () => {
  await run("seed");
  const [any] = await db<{ taskId: string }[]>`select task_id from tasks where status = 'failed'`;

  // An alternative counts with five pieces of work of one type, and the samples are few.
  for (const name of REPORT_NAMES.filter((each) => each !== "better-alternatives")) {
    const { rows } = await reports[name].run(db, ACTOR, name === "task-timeline" ? { task_id: any?.taskId } : {});
    expect([name, rows.length > 0]).toEqual([name, true]);
    for (const row of rows) reports[name].row.parse(row);
  }
});

test("a running stack leaves the samples alone: none is dispatched, none ends, and people can decide about them", async () => {
  await run("seed");
  const before = await dump();
  const world = worldOf(db);

  expect(await world.dispatch()).toBe(0);
  expect(await world.expire()).toEqual({ retried: 0, failed: 0, again: 0 });
  expect(await dump()).toEqual(before);

  const [pending] = await db<{ taskId: string }[]>`select task_id from tasks where status = 'pending'`;
  await world.decide("approve", pending?.taskId ?? "");
  expect(await world.dispatch()).toBe(1);
  expect(world.requests()).toMatchObject([
    { to_agent: "code", payload: { work_type: "code.run", parameters: { command: "echo" } } },
  ]);
});

test("it takes no other option, and says so", async () => {
  const { code, err } = await run("seed", ["--force"]);

  expect(code).toBe(2);
  expect(err).toContain("Unknown option '--force'");
});
