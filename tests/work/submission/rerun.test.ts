import { randomUUID } from "node:crypto";
import { afterAll, beforeEach, expect, test } from "vitest";
import { handler as decideWork } from "../../../functions/work/decide-work.ts";
import { handler as getWork } from "../../../functions/work/get-work.ts";
import { handler as submitWork } from "../../../functions/work/submit-work.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { HandOver } from "../../../lib/work/core/schema.ts";
import { buildStep } from "../../support/database/build.ts";
import { worldOf } from "../../support/database/world.ts";
import { call } from "../../support/http/events.ts";

const db = connect();
beforeEach(async () => {
  await db`truncate tasks cascade`;
});
afterAll(async () => {
  await db.end();
});

const rerun = async (task_id: string, body: object = {}, headers: Record<string, string> = {}) =>
  await call(submitWork, `/work/${task_id}/rerun`, { params: { task_id }, body, headers });
const remove = async (task_id: string) =>
  await call(decideWork, `/work/${task_id}`, { params: { task_id }, method: "DELETE" });
const cancelled = async (more: object = {}) => {
  const world = worldOf(db);
  const task_id = await world.submit(more);
  await world.decide("cancel", task_id);
  return task_id;
};

test("finished work is done again as new work with a link, and with what is said otherwise", async () => {
  const was = {
    parameters: { command: "ls" },
    hints: { files: ["a"] },
    priority: 7,
    to_agent: "infra",
    max_attempts: 2,
  };
  const task_id = await cancelled(was);

  const again = await rerun(task_id, { priority: 9, parameters: { command: "pwd" }, created_by: "bob" });

  expect(again.status).toBe(201);
  expect(again.headers["location"]).toBe(`/work/${again.json.task_id}`);
  expect(again.json).toMatchObject({
    ...was,
    rerun_of: task_id,
    status: "approved",
    priority: 9,
    parameters: { command: "pwd" },
    created_by: "bob",
    attempt: 0,
  });
  expect(again.json.task_id).not.toBe(task_id);
  const { json } = await call(getWork, `/work/${task_id}`, { params: { task_id } });
  expect([json.status, json.rerun_of]).toEqual(["cancelled", null]);
});

test("who is named again is whom the caller has named, and nobody to whom the work was given since", async () => {
  const world = worldOf(db, { AGENT_PRESENCE_SECONDS: "0" });
  const given = async (more: object, decision: "approve" | "handover", to_agent?: string) => {
    const task_id = await world.submit(more);
    const params = { task_id };
    const body = { by: "ada", reason: "so be it", ...(to_agent === undefined ? {} : { to_agent }) };
    expect((await call(decideWork, `/work/${task_id}/${decision}`, { params, body })).status).toBe(200);
    const { json } = await call(getWork, `/work/${task_id}`, { params });
    await world.decide("cancel", task_id);
    const again = (await rerun(task_id)).json;
    return { had: json.to_agent, again: [again.to_agent, again.routing.strategy] };
  };

  const handedOver = await given({ work_type: "code.run" }, "handover", "desktop");
  expect(handedOver).toEqual({ had: "desktop", again: ["code", "work_type"] });
  const approved = await given({ work_type: "code.run", approval: "required" }, "approve", "desktop");
  expect(approved).toEqual({ had: "desktop", again: ["code", "work_type"] });
  const named = await given({ work_type: "code.run", to_agent: "infra" }, "handover", "desktop");
  expect(named).toEqual({ had: "desktop", again: ["infra", "explicit"] });
});

test("once the month of its first decision is gone, who was named is named again, or nobody where it was given since", async () => {
  const world = worldOf(db, { AGENT_PRESENCE_SECONDS: "0" });
  const named = await world.submit({ to_agent: "infra" });
  const handedOver = await world.submit({ work_type: "code.run", to_agent: "infra" });
  await world.handOver(handedOver, HandOver.parse({ by: "ada", reason: "so be it", to_agent: "desktop" }));
  const approved = await world.submit({ work_type: "code.run", approval: "required" });
  await world.decide("approve", approved, "ada", { to_agent: "desktop" });
  for (const id of [named, handedOver, approved]) await world.decide("cancel", id);
  await db`delete from router_performance_metrics`;
  const again = async (id: string) => {
    const { to_agent, routing } = (await rerun(id)).json;
    return [to_agent, routing.strategy];
  };

  expect(await again(named)).toEqual(["infra", "explicit"]);
  expect(await again(handedOver)).toEqual(["code", "work_type"]);
  expect(await again(approved)).toEqual(["code", "work_type"]);
});

test("a rerun waits for a person where the work did, and takes a body that is empty", async () => {
  const task_id = await cancelled({ approval: "required" });

  expect((await rerun(task_id)).json).toMatchObject({ status: "pending", approval: "required", approved_by: null });
});

test("the same key again answers with the work that it made, other content is a conflict", async () => {
  const task_id = await cancelled();
  const key = { "idempotency-key": "again-1" };
  const first = await rerun(task_id, { priority: 1 }, key);
  await worldOf(db).decide("retry", task_id);

  const replayed = await rerun(task_id, { priority: 1 }, key);
  expect([replayed.status, replayed.json.task_id]).toEqual([200, first.json.task_id]);
  expect(replayed.headers["idempotent-replayed"]).toBe("true");
  const other = await rerun(task_id, { priority: 2 }, key);
  expect([other.status, other.json.code]).toEqual([409, "idempotency_conflict"]);
});

test("work that has not ended is not done again and not deleted, and unknown work is 404", async () => {
  const task_id = await worldOf(db).submit();

  for (const refused of [await rerun(task_id), await remove(task_id)]) {
    expect([refused.status, refused.json.code]).toEqual([409, "not_possible_from_approved"]);
  }
  expect([(await rerun(randomUUID())).status, (await remove(randomUUID())).status]).toEqual([404, 404]);
});

test("finished work is deleted with all that is kept of it, and what the router decided stays", async () => {
  const task_id = await cancelled();
  await db`update tasks set attempt = 1 where task_id = ${task_id}`;
  await buildStep(db, task_id, { output: ["all"] });
  const again = (await rerun(task_id)).json.task_id;

  const gone = await remove(task_id);

  expect([gone.status, gone.text]).toEqual([204, ""]);
  expect((await remove(task_id)).status).toBe(404);
  expect(await db`select from execution_logs where task_id = ${task_id}`).toHaveLength(0);
  expect(await db`select from execution_output`).toHaveLength(0);
  expect(await db`select from router_performance_metrics where task_id = ${task_id}`).toHaveLength(1);
  const { json } = await call(getWork, `/work/${again}`, { params: { task_id: again } });
  expect(json.rerun_of).toBe(task_id);
});
