import { randomUUID } from "node:crypto";
import { afterAll, beforeEach, expect, test, vi } from "vitest";
import type { WorkRequestMessage } from "../../../lib/protocol/messages.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { worldOf } from "../../support/database/world.ts";
import { call, reply } from "../../support/http/events.ts";

vi.stubEnv("DATABASE_POOL_MAX", "10");
const { handler: decideWork } = await import("../../../functions/work/decide-work.ts");
const { handler: getWork } = await import("../../../functions/work/get-work.ts");

const db = connect();

beforeEach(async () => {
  await db`truncate tasks cascade`;
});
afterAll(async () => {
  await db.end();
});

const say = async (decision: string, task_id: string, body: object = { by: "ada" }) =>
  await call(decideWork, `/work/${task_id}/${decision}`, { params: { task_id }, body });

test.each(["policy", " Policy ", "policy\u200b", "\u00adpo\u2060licy", "pol\u3164icy"])(
  "nobody decides under the name %j, which stands for no person",
  async (by) => {
    const task_id = await worldOf(db).submit({ approval: "required" });
    const said = { by, reason: "x", score: 1, to_agent: "infra" };

    for (const [verb, ...fields] of [
      ["approve", "by"],
      ["reject", "by", "reason"],
      ["cancel", "by"],
      ["retry", "by"],
      ["handover", "by", "reason", "to_agent"],
      ["feedback", "by", "score"],
    ] as const) {
      const answer = await say(verb, task_id, Object.fromEntries(fields.map((field) => [field, said[field]])));
      expect(answer.json.errors).toEqual([
        { field: "by", message: expect.stringMatching(/the name of somebody|no invisible characters/) },
      ]);
    }
  },
);

test("what people decide is kept with who, when and why", async () => {
  const task_id = await worldOf(db).submit({ approval: "required" });

  await say("approve", task_id, { by: "ada", reason: "looks right" });
  await say("cancel", task_id, { by: "bob" });
  await say("retry", task_id, { by: "cyd", reason: "needed after all" });

  const { json } = await call(getWork, `/work/${task_id}`, { params: { task_id } });
  expect(json).toMatchObject({ status: "approved", approved_by: "ada", approval_reason: "looks right" });
  expect(json.decisions).toMatchObject([
    {
      decision: "approve",
      decided_by: "ada",
      reason: "looks right",
      status_before: "pending",
      status_after: "approved",
    },
    { decision: "cancel", decided_by: "bob", reason: null, status_before: "approved", status_after: "cancelled" },
    {
      decision: "retry",
      decided_by: "cyd",
      reason: "needed after all",
      status_before: "cancelled",
      status_after: "approved",
    },
  ]);
});

test("what is not possible is refused with the present status, and leaves no trace", async () => {
  const task_id = await worldOf(db).submit({ approval: "required" });
  await say("reject", task_id);

  for (const decision of ["approve", "reject", "cancel", "retry"]) {
    const refused = await say(decision, task_id);
    expect([refused.status, refused.json.code]).toEqual([409, "not_possible_from_rejected"]);
    expect(refused.json.detail).toContain("is rejected");
  }
  expect(await db`select from task_decisions`).toHaveLength(1);
});

test("unknown work, a bad id and a decision by nobody are refused", async () => {
  const task_id = await worldOf(db).submit({ approval: "required" });

  expect((await say("approve", randomUUID())).status).toBe(404);
  expect((await say("approve", "42")).status).toBe(400);
  for (const by of [" ", "\u200b", "\u3164", "\u00ad \u2060"]) {
    const { status, json } = await say("approve", task_id, { by });
    const message = expect.stringMatching(by === " " ? /^must name who it is$/ : /no invisible characters/);
    expect([status, json.errors]).toEqual([400, [{ field: "by", message }]]);
  }
});

test("of ten who approve at once one does", async () => {
  const task_id = await worldOf(db).submit({ approval: "required" });

  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, n) => say("approve", task_id, { by: `person ${n}` })),
  );

  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 409)).toHaveLength(9);
});

test("work cancelled before anyone approved it waits for approval again after a retry", async () => {
  const task_id = await worldOf(db).submit({ approval: "required" });
  await say("cancel", task_id);

  expect((await say("retry", task_id)).json).toMatchObject({ status: "pending", approved_at: null });
});

test("a retry is a new run: agents see another request_id, attempts count from none, the attempt never falls", async () => {
  const world = worldOf(db);
  const task_id = await world.submit({ max_attempts: 1 });
  await world.dispatch();
  const first = world.requests()[0] as WorkRequestMessage;
  await world.record(reply(first, "work_result", { status: "failed" }));

  await say("retry", task_id);
  await world.dispatch();

  const second = world.requests()[1];
  expect(second?.payload.attempt).toBe(2);
  expect(second?.request_id).not.toBe(first.request_id);
  expect(second?.trace_id).toBe(first.trace_id);
});

test.each(["approve", "reject", "cancel", "retry", "handover"])(
  "%s said again under the same key is answered with the work as it is now, and changes nothing",
  async (verb) => {
    const world = worldOf(db);
    const task_id = await world.submit(verb === "approve" || verb === "reject" ? { approval: "required" } : {});
    if (verb === "retry") await world.decide("cancel", task_id);
    const key = { "idempotency-key": `once-${verb}` };
    const body = verb === "handover" ? { by: "ada", reason: "r", to_agent: "infra" } : { by: "ada", reason: "r" };
    const said = async (more: object = {}) =>
      await call(decideWork, `/work/${task_id}/${verb}`, {
        params: { task_id },
        body: { ...body, ...more },
        headers: key,
      });

    const first = await said();
    const again = await said();
    expect([first.status, first.headers["idempotent-replayed"]]).toEqual([200, "false"]);
    expect([again.status, again.headers["idempotent-replayed"], again.json]).toEqual([200, "true", first.json]);
    const other = await said({ reason: "another" });
    expect([other.status, other.json.code]).toEqual([409, "idempotency_conflict"]);
    if (verb === "handover") return;
    const decisions = await db`select from task_decisions where task_id = ${task_id} and decision = ${verb}`;
    expect(decisions).toHaveLength(1);
    expect((await say(verb, task_id)).status).toBe(409);
  },
);

test("a decision that is refused takes no key, and many at once under one key are one", async () => {
  const task_id = await worldOf(db).submit({ approval: "required" });
  const headers = { "idempotency-key": "k" };
  const said = async (verb: string) =>
    await call(decideWork, `/work/${task_id}/${verb}`, { params: { task_id }, body: { by: "ada" }, headers });

  expect((await said("retry")).status).toBe(409);
  const answers = await Promise.all(Array.from({ length: 6 }, async () => await said("approve")));

  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
  expect(answers.filter(({ headers: told }) => told["idempotent-replayed"] === "false")).toHaveLength(1);
  expect((await said("cancel")).json.code).toBe("idempotency_conflict");
  expect(
    (
      await call(decideWork, `/work/${randomUUID()}/approve`, {
        params: { task_id: randomUUID() },
        body: { by: "a" },
        headers,
      })
    ).status,
  ).toBe(404);
});
