import { afterAll, beforeEach, expect, test } from "vitest";
import type { Message, WorkRequestMessage } from "../../../lib/protocol/messages.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { findTask } from "../../../lib/work/core/task-row.ts";
import { stepsOf } from "../../../lib/work/reading/history.ts";
import { ACTOR } from "../../support/database/actor.ts";
import { worldOf } from "../../support/database/world.ts";
import { reply } from "../../support/http/events.ts";

const db = connect();
const other = connect(process.env, undefined, {});

beforeEach(async () => {
  await db`truncate tasks cascade`;
});
afterAll(async () => {
  await Promise.all([db.end(), other.end()]);
});

async function executing(count: number) {
  const world = worldOf(db);
  for (let i = 0; i < count; i++) await world.submit();
  await world.dispatch();
  return { world, requests: world.requests() };
}

const completed = (request: WorkRequestMessage) => reply(request, "work_result", { status: "completed" });
const step = (request: WorkRequestMessage, step_number: number) =>
  reply(request, "work_status", { status: "executing", step: { step_number, action: "act", status: "completed" } });
const ids = (messages: (Message | undefined)[]) => messages.map((message) => message?.message_id);
const statusOf = async ({ payload }: WorkRequestMessage) => (await findTask(db, ACTOR, payload.task_id))?.status;

test("a row that somebody holds keeps back what is said of it, and of nothing else", async () => {
  const { world, requests } = await executing(3);
  const [held, ...free] = requests as [WorkRequestMessage, ...WorkRequestMessage[]];
  const told = [step(held, 1), step(held, 2), completed(held)];
  const messages = [...told, ...free.map(completed)];

  const { refused } = await other.begin(async (tx) => {
    await tx`select from tasks where task_id = ${held.payload.task_id} for update`;
    return await world.record(...messages);
  });

  expect(refused.map(({ recordId }) => recordId)).toEqual(ids(told));
  expect(refused.map(({ error }) => error)).toEqual(told.map(() => expect.objectContaining({ code: "55P03" })));
  expect(await Promise.all(requests.map(statusOf))).toEqual(["executing", "completed", "completed"]);

  expect((await world.record(...told)).refused).toEqual([]);
  expect(await statusOf(held)).toBe("completed");
  expect((await stepsOf(db, ACTOR, held.payload.task_id, { limit: 10 })).items).toHaveLength(2);
});

test("what waits for a moment for somebody's row is recorded with the others", async () => {
  const { world, requests } = await executing(2);
  const [held] = requests as [WorkRequestMessage];
  let recorded: ReturnType<typeof world.record> | undefined;

  await other.begin(async (tx) => {
    await tx`select from tasks where task_id = ${held.payload.task_id} for update`;
    recorded = world.record(...requests.map(completed));
    await tx`select pg_sleep(0.2)`;
  });

  expect((await recorded)?.refused).toEqual([]);
  expect(await Promise.all(requests.map(statusOf))).toEqual(["completed", "completed"]);
});

test("a message under which our code fails is refused alone", async () => {
  const { world, requests } = await executing(2);
  const [bad, good] = requests.map(completed) as [Message, Message];
  const record = async () => await world.record(bad, good);
  const fault = new TypeError("a fault of ours");
  const { learn } = world.router;
  Object.assign(world.router, {
    learn: async (tx: Parameters<typeof learn>[0], over: string[]) => {
      if (over.includes(bad.payload.task_id ?? "")) throw fault;
      await learn(tx, over);
    },
  });

  expect((await record()).refused).toMatchObject([{ recordId: bad.message_id, error: fault }]);
  expect(await Promise.all(requests.map(statusOf))).toEqual(["executing", "completed"]);
});
