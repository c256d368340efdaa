import { randomUUID } from "node:crypto";
import { afterAll, beforeEach, expect, test, vi } from "vitest";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { defineAgents } from "../support/database/registry.ts";
import { worldOf } from "../support/database/world.ts";
import { agentQueue, call, receive, reply } from "../support/http/events.ts";

vi.stubEnv("DATABASE_POOL_MAX", "10");
const { handler: decideWork } = await import("../../functions/work/decide-work.ts");
const { handler: getWork } = await import("../../functions/work/get-work.ts");

const db = connect();

beforeEach(async () => {
  await db`truncate tasks, agent_definitions, agent_performance, router_performance_metrics cascade`;
  await defineAgents(
    db,
    { name: "research", triggers: [{ phrase: "find out why" }] },
    { name: "code", capabilities: ["typescript"], triggers: [{ phrase: "find out why" }] },
    { name: "infra", routable: false },
  );
});
afterAll(async () => {
  await db.end();
});

type World = ReturnType<typeof worldOf>;
const start = async (world: World): Promise<string> => {
  const taskId = await world.submit({ request_text: "find out why invoices are one cent off", to_agent: "research" });
  await world.dispatch();
  return taskId;
};
const requestFor = (world: World, taskId: string) => {
  const request = world.requests().findLast(({ payload }) => payload.task_id === taskId);
  if (request === undefined) throw new Error("nobody was asked");
  return request;
};
const passOn = (world: World, taskId: string, handover: object) =>
  reply(requestFor(world, taskId), "work_status", {
    status: "approved",
    handover: { reason: "it is code now", ...handover },
  });
const say = (task_id: string, body: object) =>
  call(decideWork, `/work/${task_id}/handover`, {
    params: { task_id },
    body: { by: "ada", reason: "not hers", ...body },
  });
const read = async (task_id: string) => (await call(getWork, `/work/${task_id}`, { params: { task_id } })).json;
const toldTo = (world: World, agent: string) =>
  world.sent.filter(({ toAgent }) => toAgent === agent).map(({ body }) => JSON.parse(body));

test("an agent passes its work on: the router finds the next, who gets what it said, and it costs no attempt", async () => {
  const world = worldOf(db);
  const taskId = await start(world);
  const request = requestFor(world, taskId);
  const step = { step_number: 1, action: "read", status: "completed", summary: "the rounding is wrong" };
  const context = { file: "src/invoice.ts", line: 88 };

  const { workWaits } = await world.record(
    reply(request, "work_status", { status: "executing", step }),
    passOn(world, taskId, { capabilities: ["typescript"], context }),
  );

  expect(workWaits).toBe(true);
  expect(await read(taskId)).toMatchObject({ status: "approved", to_agent: "code", attempt: 1, attempts_used: 0 });
  await world.dispatch();
  const next = requestFor(world, taskId);
  expect(next).toMatchObject({
    to_agent: "code",
    request_id: request.request_id,
    payload: { attempt: 2, handover: { from_agent: "research", reason: "it is code now", context } },
  });
  await world.record(reply(next, "work_result", { status: "completed" }));

  const done = await read(taskId);
  expect(done).toMatchObject({ status: "completed", attempts_used: 1 });
  expect(done.handovers).toMatchObject([
    {
      event_type: "handover",
      parent_event_id: null,
      source_agent: "research",
      target_agent: "code",
      reason: "it is code now",
      context,
      routing_strategy: "scored",
      quality_score: 1,
    },
  ]);
  for (const time of ["transformation_time_ms", "initialisation_time_ms", "execution_time_ms"]) {
    expect(done.handovers[0][time]).toBeGreaterThanOrEqual(0);
  }
  const [{ contextSnapshot } = {}] = await db`select context_snapshot from agent_transformation_events`;
  expect(contextSnapshot).toMatchObject({
    request_text: "find out why invoices are one cent off",
    steps: [{ action: "read", summary: "the rounding is wrong" }],
  });
});

test("handovers nest: each under the one before, roles under the handover that they belong to", async () => {
  const world = worldOf(db);
  const taskId = await start(world);
  await world.record(passOn(world, taskId, {}));
  await world.dispatch();
  const role = reply(requestFor(world, taskId), "work_status", { status: "executing", role: { name: "reviewer" } });
  await world.record(role, role);
  await world.record(role);
  await world.record(passOn(world, taskId, { to_agent: "infra" }));

  const { handovers } = await read(taskId);
  expect(handovers.map((event: any) => [event.source_agent, event.target_agent, event.role])).toEqual([
    ["research", "code", null],
    ["code", "code", "reviewer"],
    ["code", "infra", null],
  ]);
  expect(handovers.map(({ parent_event_id }: any) => parent_event_id)).toEqual([
    null,
    handovers[0].event_id,
    handovers[1].event_id,
  ]);
  expect(handovers.map(({ completed_at }: any) => completed_at !== null)).toEqual([true, true, false]);
});

test("a handover that comes twice, late or from another attempt changes nothing", async () => {
  const world = worldOf(db);
  const taskId = await start(world);
  const message = passOn(world, taskId, {});
  await world.record(message, message);
  await world.record(message);
  await world.dispatch();
  await world.record(message);

  expect(await read(taskId)).toMatchObject({ status: "executing", to_agent: "code", attempt: 2 });
  expect((await read(taskId)).handovers).toHaveLength(1);
});

test("a handover to an agent that does not exist fails the attempt, which counts, and its agent is told", async () => {
  const world = worldOf(db);
  const taskId = await start(world);

  await world.record(passOn(world, taskId, { to_agent: "chef" }));

  expect(await read(taskId)).toMatchObject({
    status: "approved",
    to_agent: "research",
    attempts_used: 1,
    handovers: [],
  });
  expect(toldTo(world, "research").at(-1)).toMatchObject({
    type: "error",
    payload: { error_code: 5007, task_id: taskId },
  });
  expect(toldTo(world, "research").at(-1).payload.error_message).toContain("Agents are: code, infra, research");
});

test("where nobody else is found the work waits for a person, who names one", async () => {
  const world = worldOf(db);
  const taskId = await start(world);
  await db`update agent_definitions set active = false where agent_name = 'code'`;

  await world.record(passOn(world, taskId, {}));

  const waiting = await read(taskId);
  expect(waiting).toMatchObject({ status: "pending", to_agent: null, approved_by: null, attempts_used: 0 });
  expect(waiting.handovers).toMatchObject([
    { target_agent: "orchestrator", error_message: expect.stringContaining("no agent") },
  ]);
  // The sweep does not give it back to the agent that passed it on.
  expect(await world.routeUndecided()).toEqual([]);
  expect(await world.decide("approve", taskId, "ada", { to_agent: "infra" })).toMatchObject({ toAgent: "infra" });
});

test("the sweep asks again for what the handover asked for, and the next agent gets what it always got", async () => {
  const world = worldOf(db, { ROUTER_EXPLORE: "0" });
  const taskId = await start(world);
  // Comes before code where nothing is required: it scores the same, and is first by name.
  await defineAgents(db, { name: "analyst", triggers: [{ phrase: "find out why" }] });
  await db`update agent_definitions set active = false where agent_name in ('analyst', 'code')`;
  await world.record(passOn(world, taskId, { capabilities: ["typescript"] }));
  expect(await read(taskId)).toMatchObject({ status: "pending", to_agent: null });

  await db`update agent_definitions set active = true`;
  await world.routeUndecided();

  expect(await read(taskId)).toMatchObject({
    status: "approved",
    to_agent: "code",
    routing: { parts: { capability: 1 } },
  });
  await world.dispatch();
  const handover = { from_agent: "research", reason: "it is code now", context: {} };
  expect(requestFor(world, taskId).payload.handover).toEqual(handover);
});

test("two agents that each take the other for the right one end as a failure", async () => {
  const world = worldOf(db);
  const taskId = await start(world);

  for (let turn = 0; turn < 11; turn++) {
    await world.record(passOn(world, taskId, {}));
    await db`update tasks set ready_at = now() where status = 'approved'`;
    await world.dispatch();
  }

  expect(await read(taskId)).toMatchObject({ status: "executing", attempts_used: 2 });
  expect((await read(taskId)).handovers).toHaveLength(10);
});

test("a person moves running work: its agent is told to stop, and saying it again moves it no further", async () => {
  const world = worldOf(db);
  const taskId = await start(world);
  const body = { reason: "it is a bug", context: { hint: "invoice.ts" } };

  const moved = await say(taskId, body);
  const again = await say(taskId, body);

  expect(moved.json).toMatchObject({ status: "approved", to_agent: "code", attempts_used: 0 });
  expect(again.json).toMatchObject({ status: "approved", to_agent: "code" });
  const { Records } = await receive(agentQueue("research"));
  expect(Records.map(({ body: text }) => JSON.parse(text).payload)).toMatchObject([
    { task_id: taskId, attempt: 1, status: "cancelled" },
  ]);
  await world.dispatch();
  expect(requestFor(world, taskId).payload.handover).toMatchObject({ from_agent: "research", reason: "it is a bug" });
  expect((await say(taskId, body)).json).toMatchObject({ status: "executing", to_agent: "code" });
  expect((await read(taskId)).handovers).toHaveLength(1);
});

test("work that waits for its agent moves too, to whom a person names, even where it was", async () => {
  const world = worldOf(db);
  const taskId = await world.submit({ to_agent: "research" });

  expect((await say(taskId, { to_agent: "infra" })).json.to_agent).toBe("infra");
  expect((await say(taskId, { to_agent: "research" })).json.to_agent).toBe("research");
  expect((await read(taskId)).handovers).toMatchObject([{ parent_event_id: null }, { source_agent: "infra" }]);
});

test("a person's handover that cannot be done is refused and changes nothing", async () => {
  const world = worldOf(db);
  const taskId = await start(world);
  await db`update agent_definitions set active = false where agent_name = 'code'`;
  const codes = async (id: string, body: object) => {
    const { status, json } = await say(id, body);
    return [status, json.code];
  };

  expect(await codes(taskId, {})).toEqual([409, "no_other_agent"]);
  expect(await codes(taskId, { to_agent: "chef" })).toEqual([400, "invalid_input"]);
  expect(await codes(taskId, { to_agent: "infra", attempt: 7 })).toEqual([409, "another_attempt"]);
  expect(await codes(taskId, { to_agent: "infra", role: "reviewer" })).toEqual([400, "invalid_input"]);
  expect(await codes(taskId, { to_agent: "infra", context: { text: "x".repeat(1_048_000) } })).toEqual([
    413,
    "handover_too_large",
  ]);
  expect(await codes(randomUUID(), {})).toEqual([404, "not_found"]);
  expect(await read(taskId)).toMatchObject({ status: "executing", to_agent: "research", handovers: [] });
  await world.decide("cancel", taskId);
  expect(await codes(taskId, { to_agent: "infra" })).toEqual([409, "not_possible_from_cancelled"]);
});

test("a handover of work that is cancelled is over, and has the times of what came to pass alone", async () => {
  const world = worldOf(db);
  const taskId = await start(world);
  await world.record(reply(requestFor(world, taskId), "work_status", { status: "executing" }));
  await say(taskId, { to_agent: "code" });
  const open = (await read(taskId)).handovers;
  await world.decide("cancel", taskId);

  const nothing = { transformation_time_ms: null, initialisation_time_ms: null, execution_time_ms: null };
  expect(open).toMatchObject([{ completed_at: null }]);
  expect((await read(taskId)).handovers).toMatchObject([
    { ...nothing, completed_at: expect.any(String), quality_score: null },
  ]);
});

test("an agent that is given work and asked to stop before it spoke has no first word", async () => {
  const world = worldOf(db);
  const taskId = await start(world);
  await say(taskId, { to_agent: "code" });
  await world.dispatch();
  await world.decide("cancel", taskId);

  expect((await read(taskId)).handovers).toMatchObject([
    { transformation_time_ms: expect.any(Number), initialisation_time_ms: null, execution_time_ms: null },
  ]);
});

test("a handover that finds nobody says that the work stays where it is", async () => {
  const world = worldOf(db);
  const taskId = await start(world);
  await db`update agent_definitions set active = false where agent_name = 'code'`;

  expect((await say(taskId, {})).json.detail).toMatch(/^The work stays where it is.*Name one in to_agent/);
});

test("a role taken over HTTP is an event and moves nothing", async () => {
  const world = worldOf(db);
  const taskId = await start(world);

  const { json } = await say(taskId, { role: "reviewer", by: "research" });
  await say(taskId, { role: "reviewer", by: "research" });

  expect(json).toMatchObject({ status: "executing", to_agent: "research", attempt: 1 });
  expect((await read(taskId)).handovers).toMatchObject([{ event_type: "sub_role", role: "reviewer" }]);
});

test("a body said again under a key that was not used is a decision of its own, and under the same key it is none", async () => {
  const world = worldOf(db);
  const taskId = await world.submit({ to_agent: "research" });
  const keyed = async (key: string, to_agent: string) => {
    const body = { by: "ada", reason: "not hers", to_agent };
    const options = { params: { task_id: taskId }, body, headers: { "idempotency-key": key } };
    const { status, headers, json } = await call(decideWork, `/work/${taskId}/handover`, options);
    return [status, headers["idempotent-replayed"], json.to_agent];
  };

  expect(await keyed("k1", "code")).toEqual([200, "false", "code"]);
  expect(await keyed("k2", "research")).toEqual([200, "false", "research"]);
  expect(await keyed("k3", "code")).toEqual([200, "false", "code"]);
  expect(await keyed("k2", "research")).toEqual([200, "true", "code"]);
  expect((await read(taskId)).handovers).toHaveLength(3);
});

test("of one piece of work 100 roles are kept, whoever tells them; the same again is not one more", async () => {
  const world = worldOf(db);
  const taskId = await start(world);
  for (let n = 0; n < 99; n++) await say(taskId, { role: `part ${n}` });
  const last = reply(requestFor(world, taskId), "work_status", { status: "executing", role: { name: "last" } });
  const beyond = reply(requestFor(world, taskId), "work_status", { status: "executing", role: { name: "beyond" } });

  const { stale: none } = await world.record(last, last);
  const { stale } = await world.record(beyond, last);
  const refused = await say(taskId, { role: "beyond" });
  const same = await say(taskId, { role: "part 7" });

  expect(none).toEqual([]);
  expect(stale).toMatchObject([{ message: { message_id: beyond.message_id }, why: /100 roles are kept/ }]);
  expect([refused.status, refused.json.code, same.status]).toEqual([409, "too_many_roles", 200]);
  expect(refused.json.detail).toMatch(/it has 100 of .* KiB.*as a step/);
  expect((await read(taskId)).counts.handovers).toBe(100);
});

test("no further role is kept once the snapshots of those that are take 4 MiB", async () => {
  const taskId = await start(worldOf(db));
  const statuses: number[] = [];
  for (let n = 0; n < 7; n++)
    statuses.push((await say(taskId, { role: `part ${n}`, context: { text: "x".repeat(900_000) } })).status);

  expect(statuses).toEqual([200, 200, 200, 200, 200, 409, 409]);
});

test("eight handovers at once move the work once", async () => {
  const world = worldOf(db);
  const taskId = await start(world);

  await Promise.all(Array.from({ length: 8 }, () => say(taskId, { to_agent: "code" })));

  expect((await read(taskId)).handovers).toHaveLength(1);
});
