import { afterAll, beforeEach, expect, test } from "vitest";
import type { WorkRequestMessage } from "../../../lib/protocol/messages.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { findTask } from "../../../lib/work/core/task-row.ts";
import { ACTOR } from "../../support/database/actor.ts";
import { worldOf } from "../../support/database/world.ts";
import { reply } from "../../support/http/events.ts";

const db = connect();

beforeEach(async () => {
  await db`truncate tasks cascade`;
});
afterAll(async () => {
  await db.end();
});

test("a lease that has not run out is left alone", async () => {
  const world = worldOf(db);
  await world.submit();
  await world.dispatch();

  expect(await world.expire()).toEqual({ retried: 0, failed: 0, again: 0 });
});

test("work whose agent falls silent is tried again, then failed with the reason, and the agent is told to stop", async () => {
  const world = worldOf(db);
  const id = await world.submit({ max_attempts: 2 });
  await world.dispatch();
  const [request] = world.requests();
  if (request === undefined) throw new Error("nothing was dispatched");
  await world.record(reply(request, "work_status", { status: "executing" }));

  await world.silence();
  expect(await world.expire()).toEqual({ retried: 1, failed: 0, again: 0 });
  const waiting = await findTask(db, ACTOR, id);
  expect(waiting).toMatchObject({ status: "approved", attempt: 1, attemptsUsed: 1, leaseUntil: null });
  expect(waiting?.readyAt?.getTime()).toBeGreaterThan(Date.now());
  await db`update tasks set ready_at = now()`;
  await world.dispatch();
  const second = world.requests()[1] as WorkRequestMessage;
  await world.record(reply(second, "work_status", { status: "executing" }));
  await world.silence();
  expect(await world.expire()).toEqual({ retried: 0, failed: 1, again: 0 });

  expect(await findTask(db, ACTOR, id)).toMatchObject({
    status: "failed",
    errorMessage: "agent code fell silent: its lease ran out (attempt 2 of 2)",
  });
  expect(JSON.parse(world.sent.at(-1)?.body ?? "{}")).toMatchObject({
    type: "work_status",
    to_agent: "code",
    payload: { task_id: id, attempt: 2, status: "cancelled" },
  });
});

test("the reason tells silence from a timeout", async () => {
  const world = worldOf(db);
  const ids = [await world.submit({ max_attempts: 1 }), await world.submit({ max_attempts: 1, timeout_seconds: 7 })];
  await world.dispatch();
  for (const request of world.requests()) await world.record(reply(request, "work_status", { status: "executing" }));
  await world.silence();
  await db`update task_attempts set started_at = now() - interval '2 minutes' where task_id = ${ids[1] ?? ""}`;

  await world.expire();

  const reasons = await Promise.all(ids.map(async (id) => (await findTask(db, ACTOR, id))?.["errorMessage"]));
  expect(reasons).toEqual([
    "agent code fell silent: its lease ran out (attempt 1 of 1)",
    "the work ran past its timeout of 7 s and agent code did not end it (attempt 1 of 1)",
  ]);
});

test("more leases than one statement takes are all ended", async () => {
  const world = worldOf(db, { AGENT_IN_FLIGHT: "300" });
  for (let n = 0; n < 230; n++) await world.submit({ max_attempts: n % 2 === 0 ? 1 : 2 });
  await world.dispatch();
  for (const request of world.requests()) await world.record(reply(request, "work_status", { status: "executing" }));
  await world.silence();

  expect(await world.expire()).toEqual({ retried: 115, failed: 115, again: 0 });
});

test("two sweeps at once end each lease once", async () => {
  const world = worldOf(db, { AGENT_IN_FLIGHT: "50" });
  for (let n = 0; n < 40; n++) await world.submit();
  await world.dispatch();
  await world.record(...world.requests().map((request) => reply(request, "work_status", { status: "executing" })));
  await world.silence();
  const other = connect();

  const [a, b] = await Promise.all([world.expire(), worldOf(other).expire()]);
  await other.end();

  expect(a.retried + b.retried).toBe(40);
  expect(await db`select distinct attempts_used from tasks`).toEqual([{ attemptsUsed: 1 }]);
});

test("work that the database refuses keeps no other lease from its end, and is told with the error", async () => {
  const world = worldOf(db, { AGENT_IN_FLIGHT: "50" });
  const ids: string[] = [];
  for (let n = 0; n < 5; n++) ids.push(await world.submit({ max_attempts: 1 }));
  await world.dispatch();
  await world.record(...world.requests().map((request) => reply(request, "work_status", { status: "executing" })));
  await world.silence();
  await db.unsafe(`alter table tasks add constraint spoils check (status <> 'failed' or task_id <> '${ids[1]}')`);

  try {
    const { ended, spoilt } = await world.expireNow();

    expect(ended.map(({ taskId }) => taskId).toSorted()).toEqual(ids.filter((id) => id !== ids[1]).toSorted());
    expect(spoilt).toMatchObject([{ taskId: ids[1], error: { code: "23514" } }]);
  } finally {
    await db`alter table tasks drop constraint spoils`;
  }
});
