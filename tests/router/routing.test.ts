import { randomUUID } from "node:crypto";
import { afterAll, beforeEach, expect, test, vi } from "vitest";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { defineAgents } from "../support/database/registry.ts";
import { worldOf } from "../support/database/world.ts";
import { agentQueue, call, requestsOf } from "../support/http/events.ts";

vi.stubEnv("DATABASE_POOL_MAX", "10");
vi.stubEnv("APPROVAL_REQUIRED", "deploy");
const { handler: submitWork } = await import("../../functions/work/submit-work.ts");
const { handler: decideWork } = await import("../../functions/work/decide-work.ts");
const { handler: getWork } = await import("../../functions/work/get-work.ts");
const { handler: sweep } = await import("../../functions/work/sweep.ts");

const db = connect();
const painting = { request_text: "paint the fence green", work_type: "paint" };
const submit = (body: object) => call(submitWork, "/work", { body });
const say = (verb: string, task_id: string, body: object) =>
  call(decideWork, `/work/${task_id}/${verb}`, { params: { task_id }, body: { by: "ada", ...body } });
const read = async (task_id: string) => (await call(getWork, `/work/${task_id}`, { params: { task_id } })).json;
const metrics = async () => await db`select * from router_performance_metrics order by routed_at`;

beforeEach(async () => {
  await db`truncate tasks, agent_definitions, agent_presence, agent_performance, router_performance_metrics cascade`;
  await defineAgents(
    db,
    { name: "painter", triggers: [{ phrase: "paint the fence" }], capabilities: ["paint"] },
    { name: "gardener", triggers: [{ phrase: "mow the lawn" }] },
  );
});
afterAll(async () => {
  await db.end();
});

test("work goes to the agent whose triggers it meets, and says why; the decision is one row, measured", async () => {
  const { status, json } = await submit(painting);

  expect(status).toBe(201);
  expect(json).toMatchObject({ status: "approved", to_agent: "painter", routing: { strategy: "scored" } });
  expect(json.routing.reason).toContain("painter");
  expect(json.routing.alternatives).toMatchObject([{ agent: "gardener" }]);
  const { routing } = await read(json.task_id);
  expect(routing).toEqual(json.routing);
  const rows = await metrics();
  expect(rows).toMatchObject([
    { taskId: json.task_id, selectedAgent: "painter", strategy: "scored", cacheHit: false, succeeded: null },
  ]);
  expect(Number(rows[0]?.["confidenceScore"])).toBe(routing.confidence);
  expect(rows[0]?.["totalRoutingTimeUs"]).toBeGreaterThan(0);
});

test("the same question again is answered from the cache, until a definition changes", async () => {
  await submit(painting);
  await submit(painting);
  await defineAgents(db, { name: "sprayer", triggers: [{ phrase: "paint the fence green" }], work_types: ["paint"] });
  const { json } = await submit(painting);

  expect((await metrics()).map(({ cacheHit }) => cacheHit)).toEqual([false, true, false]);
  expect(json.to_agent).toBe("sprayer");
});

test("a repeat changes nothing and asks nothing of the router, though it would choose otherwise now", async () => {
  const request_id = randomUUID();
  const first = await submit({ ...painting, request_id });
  const named = await submit({ ...painting, request_id: randomUUID(), to_agent: "gardener" });
  await db`update agent_definitions set active = false`;

  const again = await submit({ ...painting, request_id });
  const namedAgain = await submit({ ...painting, request_id: named.json.request_id, to_agent: "gardener" });

  expect([again.status, again.json.task_id, again.json.to_agent]).toEqual([200, first.json.task_id, "painter"]);
  expect([namedAgain.status, namedAgain.json.task_id]).toEqual([200, named.json.task_id]);
  expect((await submit({ ...painting, request_id, to_agent: "gardener" })).status).toBe(409);
  expect(await metrics()).toHaveLength(2);
});

test.for([
  [
    "that has been silent for a day",
    "update agent_presence set seen_at = now() - interval '1 day'",
    "no sign of life since",
  ],
  ["that was never heard of", "delete from agent_presence", "no process of it has been heard of yet"],
] as const)(
  "an agent %s is passed over with the reason, obeyed when it is named, and chosen when it is heard of",
  async ([, silence, reason]) => {
    await db.unsafe(`${silence} where agent_name = 'painter'`);

    const { json } = await submit(painting);
    expect(json).toMatchObject({ status: "pending", to_agent: null, routing: { strategy: "none" } });
    expect(json.routing.alternatives[0]).toMatchObject({
      agent: "painter",
      passed_over: expect.stringContaining(reason),
    });
    expect(json.routing.reason).toContain(`painter is passed over: ${reason}`);
    const named = (await submit({ ...painting, to_agent: "painter" })).json;
    expect(named).toMatchObject({ status: "approved", to_agent: "painter", routing: { strategy: "explicit" } });
    expect(named.routing.reason).toContain(`to_agent names painter, and the work waits for it: ${reason}`);

    await db`
    insert into agent_presence (agent_name, seen_at) values ('painter', now())
    on conflict on constraint agent_presence_pkey do update set seen_at = excluded.seen_at
  `;
    expect((await submit(painting)).json.to_agent).toBe("painter");
    expect((await worldOf(db).routeUndecided()).map(({ taskId }) => taskId)).toContain(json.task_id);
  },
);

test("an agent that fills up between two submissions is passed over at once, and chosen again once it has room", async () => {
  await defineAgents(db, { name: "sprayer", triggers: [{ phrase: "paint the fence" }] });
  await db`update agent_definitions set parsed_metadata = jsonb_set(parsed_metadata, '{limits,concurrency}', '1')`;
  const first = await submit(painting);
  const { task_id, to_agent } = first.json;

  await db`
    update tasks set status = 'executing', attempt = 1, ready_at = null, dispatched_at = now(),
      lease_until = now() + interval '1 hour', deadline = now() + interval '1 hour'
    where task_id = ${task_id}`;
  const second = await submit(painting);
  const named = await submit({ ...painting, to_agent });
  await db`
    update tasks set status = 'cancelled', completed_at = now(), lease_until = null, deadline = null
    where task_id = ${task_id}`;
  const third = await submit(painting);

  expect(new Set([to_agent, second.json.to_agent])).toEqual(new Set(["painter", "sprayer"]));
  expect(second.json.routing.alternatives[0]).toMatchObject({
    agent: to_agent,
    passed_over: expect.stringContaining("1 of 1"),
  });
  expect([named.json.to_agent, third.json.to_agent]).toEqual([to_agent, to_agent]);
  expect(await metrics()).toHaveLength(4);
});

test("work for which nobody is found waits for a person, who must say who does it", async () => {
  const { json } = await submit({ request_text: "solve the riddle", work_type: "riddle" });
  expect(json).toMatchObject({
    status: "pending",
    to_agent: null,
    approval_reason: null,
    routing: { strategy: "none" },
  });

  const missing = await say("approve", json.task_id, {});
  expect([missing.status, missing.json.errors[0].field]).toEqual([400, "to_agent"]);
  expect(missing.json.detail).toContain("painter");
  expect((await say("approve", json.task_id, { to_agent: "nobody" })).status).toBe(400);
  const approved = await say("approve", json.task_id, { to_agent: "gardener", reason: "she likes riddles" });

  expect(approved.json).toMatchObject({
    status: "approved",
    to_agent: "gardener",
    approved_by: "ada",
    routing: { strategy: "explicit" },
  });
  expect((await metrics()).map(({ strategy }) => strategy)).toEqual(["none", "explicit"]);
});

test("approving may overrule the router, and only approving may", async () => {
  const { json } = await submit({ ...painting, approval: "required" });
  expect(json).toMatchObject({ status: "pending", to_agent: "painter" });

  expect((await say("reject", json.task_id, { to_agent: "gardener" })).status).toBe(400);
  expect((await say("approve", json.task_id, { to_agent: "gardener" })).json.to_agent).toBe("gardener");
});

test("the sweep finds an agent for what waits for one alone, and sends it; what a person must approve stays", async () => {
  const riddle = { request_text: "solve the riddle of the sphinx", work_type: "riddle" };
  const waiting = await submit(riddle);
  const asked = await submit({ ...riddle, approval: "required" });
  const policy = await submit({ ...riddle, work_type: "deploy" });
  await sweep();
  expect((await read(waiting.json.task_id)).status).toBe("pending");
  expect(await metrics()).toHaveLength(3);

  await defineAgents(db, {
    name: "research",
    triggers: [{ phrase: "solve the riddle" }],
    queue: agentQueue("research"),
  });
  await sweep();

  expect(await read(waiting.json.task_id)).toMatchObject({
    status: "executing",
    to_agent: "research",
    approved_by: "policy",
  });
  expect((await read(asked.json.task_id)).status).toBe("pending");
  expect((await read(policy.json.task_id)).status).toBe("pending");
  const [request] = await requestsOf("research");
  expect(request?.payload.task_id).toBe(waiting.json.task_id);
});

test("work without an agent can be cancelled and retried, and waits again", async () => {
  const { json } = await submit({ request_text: "solve the riddle", work_type: "riddle" });
  await say("cancel", json.task_id, {});

  const retried = await say("retry", json.task_id, {});

  expect(retried.json).toMatchObject({ status: "pending", to_agent: null });
  expect((await say("approve", json.task_id, { to_agent: "painter" })).json.status).toBe("approved");
});

test("POST /route explains what would be done and writes nothing", async () => {
  const ask = (body: object) => call(submitWork, "/route", { body });

  const explained = await ask({ request_text: "paint the fence" });
  const nobody = await ask({ request_text: "solve the riddle" });

  expect(explained.json).toMatchObject({ agent: "painter", strategy: "scored", cache_hit: false });
  expect(explained.json.parts.trigger).toBeGreaterThan(0.9);
  expect(nobody.json.agent).toBeNull();
  expect((await ask({ work_type: "paint" })).json.errors).toEqual([
    { field: "request_text", message: "is missing; it must be given" },
  ]);
  expect((await ask({ request_text: "x", to_agent: "chef" })).status).toBe(400);
  expect(await metrics()).toEqual([]);
  expect(await db`select from tasks`).toHaveLength(0);
});

test("work for an agent without a queue says so while it waits, and is dispatched once there is one", async () => {
  await db`update agent_definitions set queue_url = null where agent_name = 'painter'`;
  const { json } = await submit({ ...painting, to_agent: "painter" });
  await sweep();

  const waiting = await read(json.task_id);
  expect(waiting.status).toBe("approved");
  expect(waiting.held_up).toContain("painter has no queue yet. GET /agents/painter says how");

  await db`update agent_definitions set queue_url = ${agentQueue("code")} where agent_name = 'painter'`;
  expect((await read(json.task_id)).held_up).toBeNull();
  await sweep();
  expect(await read(json.task_id)).toMatchObject({ status: "executing", held_up: null });
  expect((await requestsOf("code")).map(({ payload }) => payload.task_id)).toContain(json.task_id);
});

test("a concurrency key that is none is refused by its name", async () => {
  const refused = await submit({ ...painting, hints: { concurrency_key: 7 } });

  expect([refused.status, refused.json.errors[0].field]).toEqual([400, "hints.concurrency_key"]);
});

test("the agent of the parent work counts for who follows it", async () => {
  const parent = await submit(painting);
  const asks = { request_text: "clean up after the work is done", hints: { parent_task_id: parent.json.task_id } };
  await db`update agent_definitions set parsed_metadata = jsonb_set(parsed_metadata, '{routing,after}', '["painter"]') where agent_name = 'gardener'`;

  const { json } = await call(submitWork, "/route", { body: asks });

  expect([json.agent, json.parts.context]).toEqual(["gardener", 1]);
  expect(json.alternatives).toMatchObject([{ agent: "painter", parts: { context: 0.5 } }]);
});
