import { randomUUID } from "node:crypto";
import { afterAll, beforeEach, expect, test } from "vitest";
import type { WorkRequestMessage } from "../../../lib/protocol/messages.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { findTask } from "../../../lib/work/core/task-row.ts";
import { stepsOf } from "../../../lib/work/reading/history.ts";
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

const steps = async (taskId: string) => (await stepsOf(db, ACTOR, taskId, { limit: 1000 })).items;

async function executing(more: Parameters<ReturnType<typeof worldOf>["submit"]>[0] = {}) {
  const world = worldOf(db);
  const taskId = await world.submit(more);
  await world.dispatch();
  const request = world.requests()[0] as WorkRequestMessage;
  return { world, taskId, request, task: async () => (await findTask(db, ACTOR, taskId)) ?? {} };
}

const step = (step_number: number, status: string, more: object = {}) => ({
  status: "executing",
  step: { step_number, action: `step ${step_number}`, status, ...more },
});

test("messages in any order and any number of times leave the same rows", async () => {
  const { world, taskId, request } = await executing();
  const messages = [
    reply(request, "work_status", step(1, "running")),
    reply(request, "work_status", step(1, "running", { output: { chunk_number: 0, text: "one " } })),
    reply(request, "work_status", step(1, "running", { output: { chunk_number: 1, text: "two" } })),
    reply(request, "work_status", step(1, "completed", { summary: "both", duration_ms: 12 })),
    reply(request, "work_status", step(2, "failed", { summary: "no", duration_ms: 3 })),
    reply(request, "work_result", { status: "failed", exit_code: 2, error_message: "no" }),
  ];

  await world.record(...messages.toReversed());
  for (const message of messages) await world.record(message);
  await world.record(...messages, ...messages);

  expect(await steps(taskId)).toMatchObject([
    { step_number: 1, status: "completed", output_summary: "both", duration_ms: 12, output_size_bytes: 7 },
    { step_number: 2, status: "failed", output_summary: "no", duration_ms: 3, output_size_bytes: 0 },
  ]);
  expect(await findTask(db, ACTOR, taskId)).toMatchObject({ status: "failed", exitCode: 2, errorMessage: "no" });
});

test.each([
  ["in one batch", true],
  ["one by one", false],
])(
  "a step without a summary takes the beginning of its output, in whatever order its pieces come: %s",
  async (_how, atOnce) => {
    const { world, taskId, request } = await executing();
    const piece = (chunk_number: number, text: string) =>
      reply(request, "work_status", step(1, "running", { output: { chunk_number, text } }));
    const messages = [piece(2, "end"), piece(1, "middle "), piece(0, "beginning ")];

    if (atOnce) await world.record(...messages);
    else for (const message of messages) await world.record(message);

    expect(await steps(taskId)).toMatchObject([
      { step_number: 1, output_summary: "beginning ", output_size_bytes: 20 },
    ]);
  },
);

test("the first result of an attempt counts", async () => {
  const { world, task, request } = await executing();

  await world.record(reply(request, "work_result", { status: "completed" }));
  await world.record(reply(request, "work_result", { status: "failed", error_message: "late" }));

  expect(await task()).toMatchObject({ status: "completed", errorMessage: null });
});

test("another agent, another run and unknown work change nothing, and the reason is told", async () => {
  const { world, taskId, request } = await executing();
  await world.record(reply(request, "work_result", { status: "failed", retryable: true }));
  await db`update tasks set ready_at = now()`;
  await world.dispatch();
  const before = await findTask(db, ACTOR, taskId);
  const done = { status: "completed" };

  const late = reply(request, "work_result", done);
  const foreign = { ...reply({ ...request, to_agent: "infra" }, "work_result", { ...done, attempt: 2 }) };
  const unknown = reply(request, "work_result", { ...done, task_id: randomUUID() });
  const [, second = request] = world.requests();
  const otherRun = { ...reply(second, "work_result", done), request_id: randomUUID() };
  const toAnother = { ...reply(second, "work_result", done), to_agent: "code" };
  const recorded = await world.record(late, foreign, unknown, otherRun, toAnother);

  expect(recorded.stale.map(({ why }) => why)).toEqual([
    "it had ended: failed_retryable",
    "attempt 2 is of agent code",
    "it is about no work",
    "attempt 2 is of another run",
    "it is about no work",
  ]);
  expect(await findTask(db, ACTOR, taskId)).toEqual(before);
});

test("a status renews the lease, the first one starts the clock of the timeout", async () => {
  const { world, request } = await executing({ timeout_seconds: 100 });
  const seconds = async () =>
    (
      await db`select round(extract(epoch from lease_until - now()))::int as lease,
        round(extract(epoch from deadline - now()))::int as deadline, started_at is not null as started from tasks`
    )[0];
  expect(await seconds()).toEqual({ lease: 900, deadline: 1060, started: false });

  await world.record(reply(request, "work_status", { status: "executing", progress: 0.5 }));
  expect(await seconds()).toEqual({ lease: 60, deadline: 160, started: true });

  await db`update task_attempts set started_at = now() - interval '150 seconds'`;
  await world.record(reply(request, "work_status", { status: "executing", progress: 0.25 }));
  expect(await seconds()).toEqual({ lease: 10, deadline: 10, started: true });
  expect((await db`select progress from tasks`)[0]).toEqual({ progress: 0.5 });
});

test("a failed attempt that another may mend is tried again after a backoff, until no attempts are left", async () => {
  const { world, task, request } = await executing({ max_attempts: 2 });
  const failed = { status: "failed", error_message: "flaky", retryable: true };

  await world.record(reply(request, "work_result", failed));
  expect(await task()).toMatchObject({ status: "approved", attempt: 1, attemptsUsed: 1, errorMessage: null });
  const [wait] = await db`select extract(epoch from ready_at - now())::float8 as seconds from tasks`;
  expect(wait?.["seconds"]).toBeGreaterThan(0.5);
  expect(wait?.["seconds"]).toBeLessThanOrEqual(2);
  await db`update tasks set ready_at = now()`;
  await world.dispatch();
  const second = world.requests()[1] as WorkRequestMessage;
  expect([second.request_id, second.payload.attempt]).toEqual([request.request_id, 2]);
  await world.record(reply(second, "work_result", failed));

  expect(await task()).toMatchObject({ status: "failed", attempt: 2, errorMessage: "flaky" });
});

test("work that is handed back is ready at once and the attempt does not count", async () => {
  const { world, task, request } = await executing({ max_attempts: 1 });

  await world.record(reply(request, "work_status", { status: "approved" }));

  expect(await task()).toMatchObject({ status: "approved", attempt: 1, attemptsUsed: 0 });
  expect(await world.dispatch()).toBe(1);
  expect(world.requests()[1]?.payload.attempt).toBe(2);
});

test("an error from the agent ends the attempt, even where it could not read which attempt it was", async () => {
  const { world, task, request } = await executing();
  const error = reply(request, "error", { error_code: 5002, error_message: "no handler for code.run" });
  if (error.type === "error") delete error.payload.attempt;

  await world.record(error);

  expect(await task()).toMatchObject({ status: "failed", errorMessage: "no handler for code.run (error 5002)" });
});

test("an agent that failed for a reason of its own is asked again", async () => {
  const { world, task, request } = await executing();

  await world.record(reply(request, "error", { error_code: 5001, error_message: "crashed" }));

  expect(await task()).toMatchObject({ status: "approved" });
});

test("a result may bring its steps and a short output itself", async () => {
  const { world, taskId, request } = await executing();

  await world.record(
    reply(request, "work_result", {
      status: "completed",
      output: "all of it",
      steps: [{ step_number: 2, action: "b", status: "completed" }],
    }),
  );

  expect(await steps(taskId)).toMatchObject([
    { step_number: 1, action: "result", output_summary: "all of it", output_size_bytes: 9 },
    { step_number: 2, action: "b", status: "completed" },
  ]);
});

test("summaries are cut at 500 characters, none of them in half", async () => {
  const { world, taskId, request } = await executing();

  await world.record(reply(request, "work_status", step(1, "completed", { summary: `${"a".repeat(499)}😀😀` })));

  const [logged] = await steps(taskId);
  expect(logged?.output_summary).toBe(`${"a".repeat(499)}😀`);
});

test("a failure without a reason is given one", async () => {
  const { world, task, request } = await executing();

  await world.record(reply(request, "work_result", { status: "failed", exit_code: 3 }));

  expect(await task()).toMatchObject({ status: "failed", errorMessage: "failed with exit code 3" });
});

test("a message that the database refuses fails alone", async () => {
  const { world, taskId, request } = await executing();
  await db`alter table execution_logs add constraint for_this_test check (action <> 'step 2')`;
  const bad = reply(request, "work_status", step(2, "completed"));

  const recorded = await world.record(
    reply(request, "work_status", step(1, "completed")),
    bad,
    reply(request, "work_result", { status: "completed" }),
  );

  await db`alter table execution_logs drop constraint for_this_test`;
  expect(recorded.refused.map(({ recordId }) => recordId)).toEqual([bad.message_id]);
  expect(recorded.ended).toHaveLength(1);
  expect((await steps(taskId)).map((logged) => logged.step_number)).toEqual([1]);
});

test("external use of models is kept as a list, whichever way the agent told it", async () => {
  const { world, task, request } = await executing();

  await world.record(
    reply(request, "work_result", {
      status: "completed",
      external_ai_used: { model: "m", tokens: 10, cost: null, provider: "p" },
    }),
  );

  expect(await task()).toMatchObject({ externalAiUsed: [{ model: "m", tokens: 10, cost: null, provider: "p" }] });
});

test("what an attempt that failed has cost stays known when the next one succeeds", async () => {
  const { world, task, request } = await executing();
  const use = (tokens: number) => ({ model: "m", tokens, cost: tokens / 100 });
  await world.record(
    reply(request, "work_result", { status: "failed", retryable: true, external_ai_used: [use(10), use(20)] }),
  );
  await db`update tasks set ready_at = now()`;
  await world.dispatch();

  const done = { status: "completed", external_ai_used: use(30) };
  await world.record(reply(world.requests()[1] as WorkRequestMessage, "work_result", done));

  expect(await task()).toMatchObject({ status: "completed", externalAiUsed: [use(10), use(20), use(30)] });
});

test("a model that went through the gateway counts once, as the gateway measured it", async () => {
  const { world, task, request } = await executing();
  const measured = { model: "m", tokens: 7, cost: 0.07, via: "llm-route", call_id: randomUUID() };
  await db`update tasks set external_ai_used = ${db.json([measured])}`;

  const told = [
    { model: "m", tokens: 8, cost: 0.08 },
    { model: "other", tokens: 1, cost: null },
  ];
  await world.record(reply(request, "work_result", { status: "completed", external_ai_used: told }));

  expect(await task()).toMatchObject({ externalAiUsed: [measured, told[1]] });
});
