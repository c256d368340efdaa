import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { call } from "../../support/http/events.ts";
import { logLines } from "../../support/log-lines.ts";

// The line that ends a call about a piece of work says which one, so that a log can be asked by task_id.

process.env["LOG_LEVEL"] = "info";
vi.resetModules();
const functions = {
  submit: (await import("../../../functions/work/submit-work.ts")).handler,
  get: (await import("../../../functions/work/get-work.ts")).handler,
  logs: (await import("../../../functions/work/get-logs.ts")).handler,
  output: (await import("../../../functions/work/get-output.ts")).handler,
  decide: (await import("../../../functions/work/decide-work.ts")).handler,
};
let logged: ReturnType<typeof logLines>;

beforeEach(() => {
  logged = logLines();
});
afterEach(() => logged.stop());

const submit = async (work: object = {}) =>
  await call(functions.submit, "/work", { body: { request_text: "do it", work_type: "code.run", ...work } });
const about = async (name: keyof typeof functions, task_id: string, after = "", body?: object) =>
  await call(functions[name], `/work/${task_id}${after}`, { params: { task_id }, ...(body && { body }) });
/** The line that ended the last call. */
const last = () => logged.lines().findLast(({ event }) => event.startsWith("request "));

test("submitted work is named, and again where it was there already", async () => {
  const request_id = randomUUID();

  for (const status of [201, 200]) {
    const { json } = await submit({ request_id });

    const { task_id, trace_id } = json;
    expect(last()).toMatchObject({ event: "request answered", status, task_id, task_trace_id: trace_id });
  }
});

test.each([
  ["get", "", true],
  ["logs", "/logs", false],
  ["output", "/output", false],
] as const)("what is read is named: %s", async (name, after, traced) => {
  const { task_id, trace_id } = (await submit()).json;

  await about(name, task_id, after);

  expect(last()).toMatchObject({ event: "request answered", status: 200, task_id });
  expect(last()?.["task_trace_id"]).toBe(traced ? trace_id : undefined);
});

test("what is decided is named", async () => {
  const { task_id, trace_id } = (await submit({ approval: "required" })).json;

  for (const decision of ["approve", "handover", "cancel", "retry"]) {
    const more = decision === "handover" ? { to_agent: "infra", reason: "it is hers" } : {};
    await about("decide", task_id, `/${decision}`, { by: "ada", ...more });

    expect(last()).toMatchObject({ event: "request answered", status: 200, task_id, task_trace_id: trace_id });
  }
});

test.each([
  ["get", "", undefined],
  ["logs", "/logs", undefined],
  ["output", "/output", undefined],
  ["decide", "/approve", { by: "ada" }],
  ["decide", "/reject", { by: "ada" }],
  ["decide", "/cancel", { by: "ada" }],
  ["decide", "/retry", { by: "ada" }],
  ["decide", "/handover", { by: "ada", to_agent: "code", reason: "it is code" }],
  ["decide", "/feedback", { by: "ada", score: 1 }],
] as const)("what is not there is named as it was asked for: %s %s", async (name, after, body) => {
  const task_id = randomUUID();

  await about(name, task_id, after, body);

  expect(last()).toMatchObject({ event: "request refused", status: 404, task_id });
});
