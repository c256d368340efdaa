import { afterAll, beforeEach, expect, test } from "vitest";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { worldOf } from "../../support/database/world.ts";

const db = connect();

beforeEach(async () => {
  await db`truncate tasks cascade`;
});
afterAll(async () => {
  await db.end();
});

const named = (name: string) => Object.assign(new Error("SQS says no"), { name });

/** Work whose request was refused by its queue, or did not reach it. */
async function refusedBy(error: Error) {
  const world = worldOf(db, { AGENT_IN_FLIGHT: "500" });
  world.queues.refuse = error;
  const id = await world.submit();
  await world.dispatch();
  return { world, id };
}

async function kept() {
  const rows = await db`
    select task_id, refusals, refusal, round(extract(epoch from send_after - now()) / 10)::int * 10 as seconds from outbox
  `;
  return rows.map(({ taskId, refusals, refusal, seconds }) => ({ taskId, refusals, refusal, seconds }));
}

test("what a queue refuses is tried again after a minute, two, four, and then every ten minutes", async () => {
  const { world } = await refusedBy(named("QueueDoesNotExist"));
  const waits = [];

  for (let n = 0; n < 6; n++) {
    const [row] = await kept();
    waits.push(row?.["seconds"]);
    await db`update outbox set send_after = now()`;
    await world.leftovers();
  }

  expect(waits).toEqual([60, 120, 240, 480, 600, 600]);
  expect(await kept()).toMatchObject([{ refusals: 7 }]);
});

test.each(["TimeoutError", "ThrottlingException", "ServiceUnavailable", "CredentialsProviderError"])(
  "a queue that does not answer (%s) has refused nothing: it is asked every minute",
  async (name) => {
    const { world } = await refusedBy(named(name));
    for (let n = 0; n < 3; n++) {
      await db`update outbox set send_after = now()`;
      await world.leftovers();
    }

    expect(await kept()).toMatchObject([{ refusals: 0, refusal: null, seconds: 60 }]);
  },
);

test("the reason names the queue that is missing and the command that makes it", async () => {
  await refusedBy(named("QueueDoesNotExist"));

  const [{ refusal = "" } = {}] = await kept();

  expect(refusal).toMatch(
    /^its queue \S+-agent-code does not exist\. Make it, .*aws sqs create-queue --queue-name \S+-agent-code /,
  );
});

test("what was refused is tried after everything else, however old it is", async () => {
  const { world } = await refusedBy(named("QueueDoesNotExist"));
  for (let n = 0; n < 250; n++) {
    await db`
      insert into outbox (message_id, to_agent, body, task_id, send_after, refusals, refusal)
      select gen_random_uuid(), to_agent, body, task_id, now() - interval '1 hour', 1, 'gone' from outbox limit 1
    `;
  }
  delete world.queues.refuse;
  await db`
    update outbox set refusals = 0, refusal = null, send_after = now()
    where message_id = (select message_id from outbox order by message_id desc limit 1)
  `;
  const [fresh] = await db`select message_id from outbox where refusals = 0`;

  await world.leftovers();

  // Of the first batch; within a batch they are in no order.
  expect(world.sent.slice(0, 100).map(({ id }) => id)).toContain(fresh?.["messageId"]);
  expect(world.sent).toHaveLength(250);
});

test("a request that is asked for again takes the place of the one that was refused", async () => {
  const { world, id } = await refusedBy(named("AccessDenied"));
  await world.silence();

  await world.expire();

  expect(await kept()).toMatchObject([{ taskId: id, refusals: 1 }]);
});
