import { randomUUID } from "node:crypto";
import { afterAll, beforeEach, expect, test } from "vitest";
import { handler as decideWork } from "../../../functions/work/decide-work.ts";
import { handler as getLogs } from "../../../functions/work/get-logs.ts";
import { handler as getWork } from "../../../functions/work/get-work.ts";
import { handler as listWork } from "../../../functions/work/list-work.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { buildTask } from "../../support/database/build.ts";
import { worldOf } from "../../support/database/world.ts";
import { call, reply } from "../../support/http/events.ts";

const db = connect();
beforeEach(async () => {
  await db`truncate tasks, agent_transformation_events cascade`;
});
afterAll(async () => {
  await db.end();
});

const get = async (task_id: string, rest = "") =>
  await call(rest.startsWith("/") ? getLogs : getWork, `/work/${task_id}${rest}`, { params: { task_id } });
const decide = async (task_id: string, verb: string, body: object = { by: "ada" }) =>
  await call(decideWork, `/work/${task_id}/${verb}`, { params: { task_id }, body });

/** All of a list, page after page, and how many pages it had. */
async function pages(task_id: string, list: string, limit: number) {
  const all: any[] = [];
  for (let cursor = "", count = 1; ; count += 1) {
    const page = await get(task_id, `/${list}?limit=${limit}${cursor}`);
    expect(page.status).toBe(200);
    all.push(...(page.json.items ?? page.json.steps));
    if (page.json.next_cursor === null) return { all, count };
    cursor = `&cursor=${page.json.next_cursor}`;
  }
}

const attempts = async (task_id: string, count: number, reason: string) => {
  await db`delete from task_attempts where task_id = ${task_id}`;
  await db`
    insert into task_attempts (
      task_id, attempt, agent, run_id, counted, requests, requested_at, lease_until, ended_at, how, reason, metrics
    )
    select ${task_id}, n, 'code', ${randomUUID()}, true, 1, now(), now(), now(), 'failed_retryable', ${reason},
      ${db.json({ all: "x".repeat(20_000) })}
    from generate_series(1, ${count}::int) as n
  `;
};

test("work with thousands of steps is answered, with the latest steps, how many there are, and pages of all", async () => {
  const task_id = await buildTask(db, { status: "failed" });
  await db`
    insert into execution_logs (log_id, task_id, attempt, step_number, agent_type, action, status, timestamp, output_summary)
    select gen_random_uuid(), ${task_id}, 1 + n / 1400, 1 + n % 1400, 'code', 'paint', 'completed', now(), repeat('😀', 500)
    from generate_series(0, 2799) as n
  `;

  for (const rest of ["", "?wait=1"]) {
    const { status, json } = await get(task_id, rest);
    expect([status, json.counts.steps, json.steps.length]).toEqual([200, 2800, 100]);
    expect([json.steps[0].step_number, json.steps[99].step_number]).toEqual([1301, 1400]);
  }
  const { all, count } = await pages(task_id, "logs", 1000);
  expect(count).toBe(3);
  expect(all.map((step) => 1400 * (step.attempt - 1) + step.step_number)).toEqual(
    Array.from({ length: 2800 }, (_, n) => n + 1),
  );
  const retried = await decide(task_id, "retry");
  expect([retried.status, (await decide(task_id, "cancel")).status]).toEqual([200, 200]);
});

test("a page ends before it is larger than an answer can be", async () => {
  const task_id = await buildTask(db);
  await db`
    insert into execution_logs (log_id, task_id, attempt, step_number, agent_type, action, status, timestamp, output_summary)
    select gen_random_uuid(), ${task_id}, 1, n, 'code', repeat(e'\\u0001', 200), 'completed', now(), repeat(e'\\u0001', 500)
    from generate_series(1, 1100) as n
  `;
  const all = {
    request_text: "\u0001".repeat(10_000),
    error_message: "\u0001".repeat(10_000),
    status: "failed",
  } as const;
  for (let n = 0; n < 60; n += 1) await buildTask(db, all);

  expect((await pages(task_id, "logs", 1000)).all).toHaveLength(1100);
  const first = await call(listWork, "/work?limit=100");
  expect(first.status).toBe(200);
  const second = await call(listWork, `/work?limit=100&cursor=${first.json.next_cursor}`);
  expect(first.json.items.length + second.json.items.length).toBe(61);
});

test("hand-overs with long contexts are answered: beside the work by their size, on their own page as a whole", async () => {
  const world = worldOf(db);
  const task_id = await world.submit({ request_text: "go round" });
  for (const [hop, to_agent] of ["infra", "code", "infra", "code", "infra", "code", "infra"].entries()) {
    const handed = await decide(task_id, "handover", {
      by: "ada",
      reason: `hop ${hop}`,
      to_agent,
      context: { text: "x".repeat(900_000) },
    });
    expect(handed.status).toBe(200);
  }
  await decide(task_id, "handover", { by: "ada", reason: "last", to_agent: "code", context: { short: true } });

  const { status, json } = await get(task_id);
  expect([status, json.counts.handovers]).toEqual([200, 8]);
  expect(json.handovers.map((one: any) => [one.context, one.context_bytes > 900_000])).toEqual([
    ...Array.from({ length: 7 }, () => [null, true]),
    [{ short: true }, false],
  ]);
  const { all, count } = await pages(task_id, "handovers", 20);
  expect([all.length, count]).toEqual([8, 2]);
  expect(all[6].context.text).toHaveLength(900_000);
  expect((await decide(task_id, "cancel")).status).toBe(200);
});

test("what attempts tell of external AI is bounded, and its sums stay right", async () => {
  const world = worldOf(db);
  const task_id = await world.submit({ max_attempts: 9 });
  for (let attempt = 1; attempt <= 7; attempt += 1) {
    await db`update tasks set ready_at = now() where task_id = ${task_id}`;
    await world.dispatch();
    const request = world.requests().at(-1);
    if (request === undefined) throw new Error("nothing was dispatched");
    const long = { model: `m${attempt}`, tokens: 1, cost: 1, prompt: "x".repeat(900_000) };
    const uses = attempt === 7 ? Array.from({ length: 600 }, () => ({ model: "n", tokens: 2, cost: 0.5 })) : long;
    await world.record(reply(request, "work_result", { status: "failed", retryable: true, external_ai_used: uses }));
  }

  const { status, json } = await get(task_id);
  expect(status).toBe(200);
  expect(json.external_ai_used[0]).toEqual({ model: "m1", tokens: 1, cost: 1, cut: true });
  expect(json.external_ai_used).toHaveLength(501);
  expect(json.external_ai_used.at(-1)).toEqual({ model: "(others)", uses: 106, tokens: 212, cost: 53, cut: true });
  expect(json.attempts).toHaveLength(7);
  expect((await decide(task_id, "cancel")).status).toBe(200);
});

test("a change is answered though the work is larger than an answer: the largest fields stand empty, by name and size", async () => {
  const large = Array.from({ length: 200_000 }, () => 1e20);
  const task_id = await buildTask(db, {
    status: "failed",
    estimated_resources: { large },
    actual_resources: { large, more: large },
    external_ai_used: [{ model: "m", tokens: 1, cost: 1 }],
  });

  const retried = await decide(task_id, "retry");

  expect(retried.status).toBe(200);
  expect(retried.json.estimated_resources.large).toHaveLength(200_000);
  const shown = await buildTask(db, { actual_resources: { large, more: large } });
  const { status, json } = await get(shown);
  expect(status).toBe(200);
  expect(json.actual_resources).toBeNull();
  expect(json.left_out).toEqual([{ field: "actual_resources", bytes: expect.any(Number) }]);
});

test("attempts and decisions have pages, and no reason is lost", async () => {
  const task_id = await buildTask(db, { status: "failed" });
  await attempts(task_id, 130, "r".repeat(10_000));
  await decide(task_id, "retry", { by: "ada", reason: "again" });
  await decide(task_id, "cancel", { by: "bob" });

  const { json } = await get(task_id);
  expect(json.counts).toEqual({ attempts: 130, steps: 0, decisions: 2, handovers: 0 });
  expect(json.attempts).toHaveLength(100);
  expect(json.attempts.at(-1)).toMatchObject({ attempt: 130, metrics: null, metrics_bytes: 20_011 });
  const { all } = await pages(task_id, "attempts", 50);
  expect(all.map((one) => one.attempt)).toEqual(Array.from({ length: 130 }, (_, n) => n + 1));
  expect(all[0].metrics.all).toHaveLength(20_000);
  expect((await pages(task_id, "decisions", 1)).all.map((one) => one.decision)).toEqual(["retry", "cancel"]);
});

test("pages of no work are 404, and of work without history empty", async () => {
  const task_id = await buildTask(db, { status: "pending" });
  for (const list of ["logs", "attempts", "decisions", "handovers"]) {
    expect((await get(randomUUID(), `/${list}`)).status).toBe(404);
    expect((await pages(task_id, list, 1)).all).toEqual([]);
  }
  for (const cursor of ["1", "1.x", "99999999999.1", "9999999999.1"]) {
    expect((await get(task_id, `/logs?cursor=${cursor}`)).status).toBe(400);
  }
});
