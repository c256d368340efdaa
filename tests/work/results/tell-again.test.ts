import { randomUUID } from "node:crypto";
import { afterAll, beforeEach, expect, test } from "vitest";
import type { WorkRequestMessage } from "../../../lib/protocol/messages.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { worldOf } from "../../support/database/world.ts";
import { reply } from "../../support/http/events.ts";

const db = connect();

beforeEach(async () => {
  await db`truncate tasks cascade`;
});
afterAll(async () => {
  await db.end();
});

const start_id = randomUUID();
const step = (step_number: number, text: string) => ({
  status: "executing",
  start_id,
  step: { step_number, action: "a", status: "completed", output: { chunk_number: 0, text } },
});
const end = (metrics: object, status = "completed") => ({ status, start_id, metrics });
const TWO_STEPS = { steps: 2, output_bytes: 10 };

async function dispatched() {
  const world = worldOf(db);
  await world.submit();
  await world.dispatch();
  const request = world.requests().at(-1) as WorkRequestMessage;
  return {
    world,
    told: (payload: Record<string, unknown>) => reply(request, "work_status", payload),
    ended: (payload: Record<string, unknown>) => reply(request, "work_result", payload),
    questions: async () => {
      const rows = await db<{ body: string; inSeconds: number }[]>`
        select body, extract(epoch from send_after - now())::int as in_seconds from outbox order by send_after
      `;
      return rows.map(({ body, inSeconds }) => ({ ...JSON.parse(body).payload, inSeconds }));
    },
  };
}

test("an agent that told more than is here is asked twice to say it again", async () => {
  const { world, told, ended, questions } = await dispatched();

  await world.record(told(step(2, "12345")), ended(end(TWO_STEPS)));

  const question = { status: "executing", attempt: 1, start_id };
  expect(await questions()).toMatchObject([question, question]);
  expect((await questions()).map(({ inSeconds }) => Math.round(inSeconds / 10))).toEqual([1, 30]);
  // What it says again ends nothing, and is asked for no more.
  await world.record(told(step(1, "12345")), ended(end(TWO_STEPS)));
  expect(await questions()).toHaveLength(2);
});

test("a question is sent when it is due, and only while something is missing", async () => {
  const { world, told, ended, questions } = await dispatched();
  await world.record(told(step(2, "12345")), ended(end(TWO_STEPS)));
  const due = async () => await db`update outbox set send_after = now() where send_after < now() + interval '1 minute'`;
  await due();
  const before = world.sent.length;

  await world.leftovers();
  expect(world.sent.length).toBe(before + 1);
  await world.record(told(step(1, "12345")));
  await db`update outbox set send_after = now()`;
  await world.leftovers();

  expect(world.sent.length).toBe(before + 1);
  expect(await questions()).toEqual([]);
});

test("an hour later nobody is asked any more", async () => {
  const { world, ended, questions } = await dispatched();
  await world.record(ended(end(TWO_STEPS)));
  await db`update outbox set send_after = now(), created_at = now() - interval '61 minutes'`;

  await world.leftovers();

  expect(await questions()).toEqual([]);
});

test("an attempt that is to be tried again is not asked about: its agent keeps no more than its end", async () => {
  const { world, ended, questions } = await dispatched();

  await world.record(ended({ ...end(TWO_STEPS, "failed"), retryable: true }));

  expect(await questions()).toEqual([]);
});

test.each([
  ["all is here, some of it in the batch of the end", TWO_STEPS, [step(1, "12345"), step(2, "12345")]],
  ["there is more than it counted", { steps: 1, output_bytes: 1 }, [step(1, "12345"), step(2, "12345")]],
  ["it has counted nothing", {}, []],
  ["its counts are its own and no numbers", { steps: "many", output_bytes: -1 }, []],
])("nobody is asked where %s", async (_, metrics, told) => {
  const work = await dispatched();
  const [first, ...others] = told;
  if (first !== undefined) await work.world.record(work.told(first));

  await work.world.record(...others.map(work.told), work.ended(end(metrics)));

  expect(await work.questions()).toEqual([]);
});

test("failed work is asked about as completed work is, and output that is short as a step", async () => {
  const { world, told, ended, questions } = await dispatched();

  await world.record(told(step(1, "12345")), ended(end({ steps: 1, output_bytes: 6 }, "failed")));

  expect(await questions()).toHaveLength(2);
});
