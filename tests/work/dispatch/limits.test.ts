import { afterAll, beforeEach, expect, test, vi } from "vitest";
import { uuidv7 } from "../../../lib/runtime/ids.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { readSettings } from "../../../lib/runtime/settings.ts";
import { wakeUp } from "../../../lib/work/core/messages.ts";
import { claim } from "../../../lib/work/dispatch/claim.ts";
import { workSettings } from "../../../lib/work/settings.ts";
import { until } from "../../support/agents/agent.ts";
import { defineAgents } from "../../support/database/registry.ts";
import { worldOf } from "../../support/database/world.ts";
import { eventOf, receive, reply } from "../../support/http/events.ts";

vi.stubEnv("DATABASE_POOL_MAX", "10");
const { handler: dispatchNow } = await import("../../../functions/work/dispatch.ts");

const db = connect();

beforeEach(async () => {
  await db`truncate tasks, agent_definitions, agent_rate cascade`;
});
afterAll(async () => {
  await db.end();
});

type World = ReturnType<typeof worldOf>;
const submitMany = async (world: World, count: number, more: Parameters<World["submit"]>[0] = {}) => {
  for (let n = 0; n < count; n++) await world.submit({ to_agent: "code", ...more });
};
const keyed = (concurrency_key: string) => ({ hints: { concurrency_key } });
const executing = async () =>
  await db`select to_agent, concurrency_key, count(*)::int from tasks where status = 'executing' group by 1, 2 order by 1, 2`;
const finish = async (world: World) => {
  const open = await db<{ taskId: string }[]>`select task_id from tasks where status = 'executing'`;
  const ids = new Set(open.map(({ taskId }) => taskId));
  const requests = world.requests().filter(({ payload }) => ids.has(payload.task_id));
  await world.record(...requests.map((request) => reply(request, "work_result", { status: "completed" })));
};

test("an agent's own limit holds however many dispatchers there are, and another one's does not change it", async () => {
  await defineAgents(db, { name: "code", limits: { concurrency: 3 } }, { name: "research" });
  const worlds = Array.from({ length: 8 }, () => worldOf(db, { AGENT_IN_FLIGHT: "7" }));
  await submitMany(worlds[0] as World, 20);
  await submitMany(worlds[0] as World, 20, { to_agent: "research" });

  await Promise.all(worlds.map((world) => world.dispatch()));

  expect(await executing()).toEqual([
    { toAgent: "code", concurrencyKey: null, count: 3 },
    { toAgent: "research", concurrencyKey: null, count: 7 },
  ]);
});

test("eight dispatchers at once never start more of a key than it may have, and nothing waits behind a full key", async () => {
  await defineAgents(db, { name: "code", limits: { concurrency: 50, per_key: 2 } });
  const worlds = Array.from({ length: 8 }, () => worldOf(db));
  const [world] = worlds as [World];
  // The first key comes first in every order, and is far more than a claim takes.
  await submitMany(world, 150, { ...keyed("a"), priority: 9 });
  await submitMany(world, 5, keyed("b"));
  await submitMany(world, 1, keyed("c"));
  await submitMany(world, 3);

  await Promise.all(worlds.map((one) => one.dispatch()));

  expect(await executing()).toEqual([
    { toAgent: "code", concurrencyKey: "a", count: 2 },
    { toAgent: "code", concurrencyKey: "b", count: 2 },
    { toAgent: "code", concurrencyKey: "c", count: 1 },
    { toAgent: "code", concurrencyKey: null, count: 3 },
  ]);
});

test.each([
  ["places", { concurrency: 3 }, {}],
  ["key", { concurrency: 50, per_key: 3 }, keyed("a")],
  ["rate", { concurrency: 50, rate: { count: 3, per_seconds: 60 } }, {}],
])(
  "a second dispatcher counts what a first one has claimed and not yet committed: %s",
  async (_which, limits, more) => {
    await defineAgents(db, { name: "code", limits });
    const world = worldOf(db);
    await submitMany(world, 3, more);

    let second: Promise<number> | undefined;
    await db.begin(async (tx) => {
      expect((await claim(tx, readSettings(workSettings, {}), ["code"])).tasks).toHaveLength(3);
      // More urgent than what the first one took, so the second one would choose it.
      await submitMany(world, 1, { ...more, priority: 9 });
      second = world.dispatch();
      const waits = async () => (await tx`select from pg_locks where locktype = 'advisory' and not granted`).length > 0;
      await Promise.race([second, until("the second one waits", waits)]);
    });

    expect(await second).toBe(0);
    expect(await executing()).toMatchObject([{ count: 3 }]);
  },
);

test("work of one key runs one after the other by default, and its key is the agent's own", async () => {
  await defineAgents(db, { name: "code" }, { name: "infra" });
  const world = worldOf(db);
  await submitMany(world, 3, keyed("shop"));
  await submitMany(world, 1, { ...keyed("shop"), to_agent: "infra" });

  for (const left of [2, 1, 0]) {
    await world.dispatch();
    expect((await executing()).filter(({ toAgent }) => toAgent === "code")).toMatchObject([{ count: 1 }]);
    await finish(world);
    expect(await db`select from tasks where status = 'approved'`).toHaveLength(left);
  }
});

test("within its places an agent gets the best work first, with a key or without", async () => {
  await defineAgents(db, { name: "code", limits: { concurrency: 2 } });
  const world = worldOf(db);
  await submitMany(world, 1, { priority: 1, request_text: "last" });
  await submitMany(world, 2, { ...keyed("a"), priority: 7, request_text: "second" });
  await submitMany(world, 1, { priority: 8, request_text: "first" });

  await world.dispatch();

  expect(world.requests().map(({ payload }) => payload.request_text)).toEqual(["first", "second"]);
});

test("a rate is never exceeded in any window, by any number of dispatchers, and says when it lets the next one go", async () => {
  await defineAgents(db, { name: "code", limits: { concurrency: 100, rate: { count: 3, per_seconds: 60 } } });
  const worlds = Array.from({ length: 6 }, () => worldOf(db));
  const [world] = worlds as [World];
  await submitMany(world, 12);
  const before = Date.now();

  await Promise.all(worlds.map((one) => one.dispatch()));
  const { freeAt } = await world.dispatchNow();

  expect(await executing()).toMatchObject([{ count: 3 }]);
  expect(freeAt?.getTime()).toBeGreaterThanOrEqual(before + 59_000);
  expect(freeAt?.getTime()).toBeLessThanOrEqual(Date.now() + 60_000);

  // As if the first of them had been started a minute ago: one may follow, not three.
  await db`update agent_rate set recent[1] = recent[1] - interval '61 seconds'`;
  await Promise.all(worlds.map((one) => one.dispatch()));
  expect(await executing()).toMatchObject([{ count: 4 }]);
});

test("the rate of one agent holds up no other, and no limit at all says nothing of when to look again", async () => {
  await defineAgents(db, { name: "code", limits: { rate: { count: 1, per_seconds: 60 } } }, { name: "research" });
  const world = worldOf(db);
  await submitMany(world, 3);
  await submitMany(world, 3, { to_agent: "research" });

  expect(await world.dispatch()).toBe(4);
  await db`delete from tasks where to_agent = 'code'`;

  expect((await world.dispatchNow()).freeAt).toBeNull();
});

test("the dispatcher wakes itself when a rate lets the next one go", async () => {
  await defineAgents(db, { name: "code", limits: { rate: { count: 1, per_seconds: 1 } } });
  await submitMany(worldOf(db), 2);

  const about = { taskId: uuidv7(), traceId: uuidv7(), runId: uuidv7(), toAgent: "", attempt: 0 };
  await dispatchNow(eventOf([wakeUp(about, { newId: () => uuidv7(), now: () => new Date(), dice: Math.random }).body]));

  const { Records } = await receive(process.env["WORK_QUEUE_URL"] ?? "", 20);
  expect(Records.map(({ body }) => JSON.parse(body).payload.status)).toEqual(["approved"]);
  await dispatchNow({ Records });
  expect(await executing()).toMatchObject([{ count: 2 }]);
});

test("an agent that was deactivated gets what it was given, one without a queue waits", async () => {
  await defineAgents(db, { name: "code" }, { name: "painter" });
  const world = worldOf(db);
  await submitMany(world, 1);
  await submitMany(world, 1, { to_agent: "painter" });
  await db`update agent_definitions set active = false where agent_name = 'code'`;
  await db`update agent_definitions set queue_url = null where agent_name = 'painter'`;

  await world.dispatch();

  expect(await executing()).toEqual([{ toAgent: "code", concurrencyKey: null, count: 1 }]);
  await expect(world.submit({ to_agent: "code" })).rejects.toThrow("is not known");
});

test("an agent that only the environment knows still gets what it was given before there was a registry", async () => {
  await defineAgents(db, { name: "code" });
  const world = worldOf(db);
  await submitMany(world, 1);
  await db`truncate agent_definitions cascade`;

  expect(await world.dispatch()).toBe(1);
});
