import { afterAll, beforeEach, expect, test } from "vitest";
import { handler as decideWork } from "../../functions/work/decide-work.ts";
import { handler as dispatch } from "../../functions/work/dispatch.ts";
import { handler as getLogs } from "../../functions/work/get-logs.ts";
import { handler as getOutput } from "../../functions/work/get-output.ts";
import { handler as getWork } from "../../functions/work/get-work.ts";
import { handler as recordResult } from "../../functions/work/record-result.ts";
import { handler as submitWork } from "../../functions/work/submit-work.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { fromAgent, knowAgents } from "../support/agents/keys.ts";
import { call, eventOf, receive, reply, requestsOf } from "../support/http/events.ts";

const db = connect();
const work = { request_text: "say hello", work_type: "code.run", parameters: { command: "echo" } };

beforeEach(async () => {
  await db`truncate tasks cascade`;
});
afterAll(async () => {
  await db.end();
});

async function dispatched() {
  await dispatch(await receive(process.env["WORK_QUEUE_URL"] ?? ""));
  return await requestsOf("code");
}

test("work goes from its submission to its result, with its steps and output", async () => {
  const created = await call(submitWork, "/work", { body: work });
  expect(created.status).toBe(201);
  expect(created.json.status).toBe("approved");
  const params = { task_id: created.json.task_id as string };

  const [request] = await dispatched();
  if (request === undefined) throw new Error("nothing was dispatched");
  expect(request.payload).toMatchObject({
    ...params,
    attempt: 1,
    work_type: "code.run",
    parameters: { command: "echo" },
  });
  const step = (more: object) => ({ step_number: 1, action: "echo", ...more });
  await knowAgents(db, ["code"]);
  const outcome = await recordResult(
    eventOf(
      [
        reply(request, "work_status", { status: "executing", step: step({ status: "running" }) }),
        reply(request, "work_status", {
          status: "executing",
          step: step({
            status: "running",
            output: { chunk_number: 1, encoding: "base64", text: Buffer.from("w\u0000rld").toString("base64") },
          }),
        }),
        reply(request, "work_status", {
          status: "executing",
          step: step({ status: "running", output: { chunk_number: 0, encoding: "utf8", text: "hellö " } }),
        }),
        reply(request, "work_status", { status: "executing", step: step({ status: "completed", duration_ms: 5 }) }),
        reply(request, "work_result", {
          status: "completed",
          exit_code: 0,
          metrics: { cpu: 1 },
          external_ai_used: { model: "m", tokens: 3, cost: 0.1 },
        }),
      ].map(fromAgent),
    ),
  );
  expect(outcome).toEqual({ batchItemFailures: [] });

  const done = await call(getWork, `/work/${params.task_id}`, { params });
  expect(done.json).toMatchObject({
    status: "completed",
    exit_code: 0,
    actual_resources: { cpu: 1 },
    external_ai_used: [{ model: "m", tokens: 3, cost: 0.1 }],
    steps: [{ step_number: 1, status: "completed", duration_ms: 5, output_size_bytes: 12 }],
  });
  expect((await call(getLogs, `/work/${params.task_id}/logs`, { params })).json.steps).toHaveLength(1);
  const output = await call(getOutput, `/work/${params.task_id}/output`, { params });
  expect(output.text).toBe("hellö w\u0000rld");
  const part = await call(getOutput, `/work/${params.task_id}/output`, { params, headers: { range: "bytes=6-7" } });
  expect([part.status, part.headers["content-range"], part.text]).toEqual([206, "bytes 6-7/12", " w"]);
});

test("pending work is not dispatched until it is approved", async () => {
  const created = await call(submitWork, "/work", { body: { ...work, approval: "required" } });
  const params = { task_id: created.json.task_id as string };
  expect(created.json.status).toBe("pending");
  expect(await dispatched()).toEqual([]);

  const approved = await call(decideWork, `/work/${params.task_id}/approve`, {
    params,
    body: { by: "ada", reason: "ok" },
  });

  expect(approved.json).toMatchObject({ status: "approved", approved_by: "ada", approval_reason: "ok" });
  expect(await dispatched()).toHaveLength(1);
});
