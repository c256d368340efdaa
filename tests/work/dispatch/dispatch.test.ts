import { afterAll, beforeEach, expect, test, vi } from "vitest";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { worldOf } from "../../support/database/world.ts";

vi.stubEnv("DATABASE_POOL_MAX", "10");
const db = connect();

beforeEach(async () => {
  await db`truncate tasks cascade`;
});
afterAll(async () => {
  await db.end();
});

test("priority goes first, then age", async () => {
  const world = worldOf(db);
  const ids: string[] = [];
  for (const priority of [5, 1, 9, 5, 9]) ids.push(await world.submit({ priority }));

  await world.dispatch();

  const order = world.requests().map(({ payload }) => ids.indexOf(payload.task_id));
  expect(order).toEqual([2, 4, 0, 3, 1]);
});

test("an agent gets no more at once than it has places, and later work of higher priority overtakes what waits", async () => {
  const world = worldOf(db, { AGENT_IN_FLIGHT: "2" });
  for (let n = 0; n < 4; n++) await world.submit({ priority: 3 });
  expect(await world.dispatch()).toBe(2);
  const urgent = await world.submit({ priority: 8 });
  const other = await world.submit({ to_agent: "research" });
  expect(await world.dispatch()).toBe(1);
  expect(world.requests().at(-1)?.payload.task_id).toBe(other);

  const [first] = world.requests();
  if (first === undefined) throw new Error("nothing was dispatched");
  const recorded = await world.record(resultOf(first));
  expect(recorded.workWaits).toBe(true);
  expect(await world.dispatch()).toBe(1);

  expect(world.requests().at(-1)?.payload.task_id).toBe(urgent);
});

test("eight dispatchers at once start each of forty pieces of work once, within the agents' places", async () => {
  const worlds = Array.from({ length: 8 }, () => worldOf(db, { AGENT_IN_FLIGHT: "15" }));
  for (let n = 0; n < 40; n++) await worlds[0]?.submit({ to_agent: n % 2 === 0 ? "code" : "research" });

  const started = await Promise.all(worlds.map((world) => world.dispatch()));

  const ids = worlds.flatMap((world) => world.requests().map(({ payload }) => payload.task_id));
  expect(started.reduce((a, b) => a + b)).toBe(30);
  expect(new Set(ids).size).toBe(30);
  expect(await db`select to_agent, count(*)::int from tasks where status = 'executing' group by 1 order by 1`).toEqual([
    { toAgent: "code", count: 15 },
    { toAgent: "research", count: 15 },
  ]);
});

test("work waits for its time", async () => {
  const world = worldOf(db);
  const id = await world.submit({ not_before: new Date(Date.now() + 3_600_000).toISOString() });

  expect(await world.dispatch()).toBe(0);
  await db`update tasks set ready_at = now() where task_id = ${id}`;

  expect(await world.dispatch()).toBe(1);
});

test("large requests are claimed a few at a time, and all of them in the end", async () => {
  const world = worldOf(db, { AGENT_IN_FLIGHT: "100" });
  for (let n = 0; n < 12; n++) await world.submit({ parameters: { text: "x".repeat(1_000_000) } });

  expect(await world.dispatch()).toBe(12);
  expect(world.requests()).toHaveLength(12);
});

test("a request that could not be sent is kept and sent by the sweep, once", async () => {
  const world = worldOf(db);
  await world.submit();
  world.queues.down = true;
  expect(await world.dispatch()).toBe(1);
  expect(world.sent).toEqual([]);

  world.queues.down = false;
  expect(await world.leftovers()).toBe(0);
  await db`update outbox set send_after = now()`;
  expect(await world.leftovers()).toBe(1);
  expect(await world.leftovers()).toBe(0);

  expect(world.requests()).toHaveLength(1);
  expect(await db`select from outbox`).toHaveLength(0);
});

test("work that no message can be made of fails with the reason and holds up nothing behind it", async () => {
  const world = worldOf(db);
  const broken = await world.submit({ priority: 9 });
  const sound = await world.submit();
  await db`update tasks set work_type = ${"x".repeat(101)} where task_id = ${broken}`;

  await world.dispatch();

  expect(world.requests().map(({ payload }) => payload.task_id)).toEqual([sound]);
  const [failed] = await db`select status, error_message from tasks where task_id = ${broken}`;
  expect(failed?.["status"]).toBe("failed");
  expect(failed?.["errorMessage"]).toContain("work_type");
});

test("a request for work that was cancelled meanwhile is never sent", async () => {
  const world = worldOf(db);
  const id = await world.submit();
  world.queues.down = true;
  await world.dispatch();
  await world.decide("cancel", id);
  world.queues.down = false;
  await db`update outbox set send_after = now()`;

  await world.leftovers();

  expect(world.requests()).toEqual([]);
  expect(world.sent.map(({ body }) => JSON.parse(body).payload.status)).toEqual(["cancelled"]);
});

function resultOf(request: ReturnType<ReturnType<typeof worldOf>["requests"]>[number]) {
  const { key_id: _, signature: __, ...envelope } = request;
  return {
    ...envelope,
    message_id: crypto.randomUUID(),
    from_agent: request.to_agent,
    to_agent: "orchestrator",
    type: "work_result" as const,
    payload: { task_id: request.payload.task_id, attempt: request.payload.attempt, status: "completed" as const },
  };
}
