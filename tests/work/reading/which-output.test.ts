import { beforeAll, expect, test } from "vitest";
import { handler as getOutput } from "../../../functions/work/get-output.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { buildStep, buildTask } from "../../support/database/build.ts";
import { call } from "../../support/http/events.ts";

const db = connect();
const tasks = { ran: "", waits: "" };

/** Ran twice: the first attempt wrote "one", the second has a step that wrote nothing. */
beforeAll(async () => {
  tasks.ran = await buildTask(db, { attempt: 2 });
  await buildStep(db, tasks.ran, { attempt: 1, output: ["one"] });
  await buildStep(db, tasks.ran, { attempt: 2 });
  tasks.waits = await buildTask(db, { status: "approved" });
});

const outputOf = async (task: keyof typeof tasks, query: string) =>
  await call(getOutput, `/work/${tasks[task]}/output${query}`, { params: { task_id: tasks[task] } });

test.each([
  ["ran", "?attempt=1", "one"],
  ["ran", "?attempt=1&step=1", "one"],
  ["ran", "", ""],
  ["ran", "?attempt=2&step=1", ""],
  ["waits", "", ""],
  ["waits", "?attempt=0", ""],
] as const)("of work that %s, output%s is what was written, if nothing", async (task, query, text) => {
  const answer = await outputOf(task, query);

  expect([answer.status, answer.text]).toEqual([200, text]);
});

test.each([
  ["ran", "?attempt=3", "has had no attempt 3; its latest is 2"],
  ["ran", "?attempt=0", "has had no attempt 0; its latest is 2"],
  ["ran", "?step=2", "Attempt 2 of this work has no step 2"],
  ["ran", "?attempt=1&step=7", "Attempt 1 of this work has no step 7"],
  ["ran", "?attempt=7&step=1", "has had no attempt 7"],
  ["waits", "?attempt=1", "has had no attempt 1; its latest is 0"],
  ["waits", "?step=1", "Attempt 0 of this work has no step 1"],
] as const)("of work that %s, output%s never was, and is 404", async (task, query, detail) => {
  const answer = await outputOf(task, query);

  expect([answer.status, answer.json.code]).toEqual([404, "not_found"]);
  expect(answer.json.detail).toContain(detail);
});

test("HEAD is answered as without Range, which is of GET alone", async () => {
  const ask = async (method: string) => {
    const [path, params] = [`/work/${tasks.ran}/output?attempt=1`, { task_id: tasks.ran }];
    return await call(getOutput, path, { method, params, headers: { range: "bytes=-2" } });
  };

  expect(await ask("GET")).toMatchObject({ status: 206, text: "ne", headers: { "content-range": "bytes 1-2/3" } });
  const head = await ask("HEAD");
  expect([head.status, head.headers["content-length"], head.headers["content-range"]]).toEqual([200, "3", undefined]);
});
