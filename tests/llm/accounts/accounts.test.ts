import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { setSwitch } from "../../../lib/llm/accounts/queries.ts";
import { findReport } from "../../../lib/reports/all.ts";
import { ACTOR } from "../../support/database/actor.ts";
import { ANSWER } from "../../support/llm/vendor-stream.ts";
import { llmWorld, PROMPT } from "../../support/llm/world.ts";

const PROJECT = randomUUID();
const { gateway, vendor, db, openai, anthropic, rowsOf, newTask } = await llmWorld({ projects: [PROJECT] });

const messages = [{ role: "user" as const, content: PROMPT }];

test("every attempt is a row, with what it cost and why it failed", async () => {
  const traceId = randomUUID();
  const taskId = await newTask();
  const headers = { "x-waybill-trace-id": traceId, "x-waybill-task-id": taskId, "x-waybill-agent": "code" };

  const { response } = await openai.chat.completions
    .create({ model: "x-fb-503", messages }, { headers })
    .withResponse();

  expect(response.headers.get("x-waybill-model")).toBe("ok");
  expect(response.headers.get("x-waybill-attempts")).toBe("3");
  expect(response.headers.get("x-waybill-cost-usd")).toBe("0.00014");
  expect(Number(response.headers.get("x-waybill-overhead-ms"))).toBeGreaterThanOrEqual(0);
  await expect.poll(async () => (await rowsOf(traceId)).length).toBe(3);
  expect(await rowsOf(traceId)).toMatchObject([
    { model: "fb-503", outcome: "failed", errorClass: "server_error", usageSource: "none", costUsd: "0.0000000000" },
    { model: "fb-503", outcome: "failed", attemptNumber: 2 },
    {
      model: "ok",
      modelAsked: "fb-ok",
      modelServed: "fb-ok",
      provider: "vendor",
      outcome: "answered",
      usageSource: "provider",
      inputTokens: 20,
      outputTokens: 60,
      costUsd: "0.0001400000",
      external: true,
      taskId,
      agent: "code",
    },
  ]);
  await expect
    .poll(async () => (await db`select external_ai_used from tasks where task_id = ${taskId}`)[0]?.["externalAiUsed"])
    .toMatchObject([{ model: "fb-503" }, { model: "fb-503" }, { model: "fb-ok", tokens: 80, cost: 0.00014 }]);
});

test("a task is marked as soon as its prompt has left, though a local model answers", async () => {
  const taskId = await newTask();

  const answer = await openai.chat.completions.create(
    { model: "h-fb-503", messages },
    { headers: { "x-waybill-task-id": taskId } },
  );

  expect(answer.model).toBe("fb-home");
  await expect
    .poll(
      async () => (await db`select external_ai_used from tasks where task_id = ${taskId}`)[0]?.["externalAiUsed"]?.[0],
    )
    .toMatchObject({ model: "fb-503" });
});

test("of the uses of one task 500 are kept one by one, and of the others how many, their tokens and their cost", async () => {
  const taskId = await newTask();
  const usesOf = async () =>
    (await db`select external_ai_used from tasks where task_id = ${taskId}`)[0]?.["externalAiUsed"];
  const told = Array.from({ length: 499 }, () => ({ model: "m", tokens: 1, cost: 1 }));
  await db`update tasks set external_ai_used = ${db.json(told)} where task_id = ${taskId}`;
  for (let call = 0; call < 3; call += 1)
    await openai.chat.completions.create({ model: "ok", messages }, { headers: { "x-waybill-task-id": taskId } });

  await expect
    .poll(async () => (await usesOf()).slice(499))
    .toEqual([
      expect.objectContaining({ model: "fb-ok", tokens: 80, cost: 0.00014 }),
      { model: "(others)", uses: 2, tokens: 160, cost: 0.00028, cut: true },
    ]);
  const { rows } = await findReport("external-ai-use").run(db, ACTOR, {});
  expect(rows).toContainEqual(expect.objectContaining({ task_id: taskId, uses: 502 }));
});

test("prompts and answers are kept for the projects that switched it on, and for no other", async () => {
  const kept = await newTask();
  const other = await newTask();
  await db`update tasks set project_id = ${PROJECT} where task_id = ${kept}`;

  for (const taskId of [kept, other]) {
    const headers = { "x-waybill-task-id": taskId };
    await openai.chat.completions.create({ model: "ok", messages }, { headers });
    for (const mode of ["live", "whole"]) {
      const wish = { headers: { ...headers, "x-waybill-stream": mode } };
      for await (const chunk of await openai.chat.completions.create({ model: "ok", messages, stream: true }, wish))
        void chunk;
    }
  }

  await expect
    .poll(async () => await db`select task_id, prompt, answer from llm_texts join llm_calls using (attempt_id)`)
    .toHaveLength(3);
  const texts = await db`select task_id, prompt, answer from llm_texts join llm_calls using (attempt_id)`;
  for (const { taskId, prompt, answer } of texts) {
    expect(taskId).toBe(kept);
    expect(prompt).toContain(messages[0]?.content);
    expect(answer).toContain("word59");
  }
});

test("the fields of `waybill` in the body tie a call to work, and reach no vendor", async () => {
  const traceId = randomUUID();

  await openai.chat.completions.create({
    model: "ok",
    messages,
    waybill: { trace_id: traceId, agent: "desktop" },
  } as never);

  await expect.poll(async () => await rowsOf(traceId)).toMatchObject([{ agent: "desktop" }]);
  expect(vendor.of("fb-ok")[0]?.body).not.toHaveProperty("waybill");
});

test("the kill switch stops external calls within a second, and local models go on", async () => {
  await setSwitch(db, ACTOR, false, "a test");
  try {
    await expect
      .poll(
        async () =>
          await openai.chat.completions
            .create({ model: "ok", messages })
            .then(() => 200)
            .catch((error: unknown) => (error as { status: number }).status),
        { timeout: 3000 },
      )
      .toBe(503);
    vendor.reset();
    const answer = await openai.chat.completions.create({ model: "h-fb-flap", messages });
    expect(answer.model).toBe("fb-home");
    expect(vendor.seen).toHaveLength(1);
  } finally {
    await setSwitch(db, ACTOR, true, null);
    await new Promise((resolve) => setTimeout(resolve, 1100));
  }
});

test("Anthropic's client is answered by either kind of vendor, streaming included", async () => {
  for (const model of ["a-ok", "ok", "y-fb-503"]) {
    const whole = await anthropic.messages.create({ model, max_tokens: 100, messages });
    expect(whole).toMatchObject({
      content: [{ type: "text", text: ANSWER }],
      stop_reason: "end_turn",
      usage: { input_tokens: 20, output_tokens: 60 },
    });
    const stream = anthropic.messages.stream({ model, max_tokens: 100, messages });
    const final = await stream.finalMessage();
    expect(final).toMatchObject({
      content: [{ type: "text", text: ANSWER }],
      usage: { input_tokens: expect.any(Number), output_tokens: 60 },
    });
  }
});

test("the reports tell fallbacks by day, delays by model and spending by agent", async () => {
  const fallbacks = await findReport("llm-fallbacks").run(db, ACTOR, { days: "1" });
  const latency = await findReport("llm-latency").run(db, ACTOR, {});
  const spend = await findReport("llm-spend").run(db, ACTOR, {});

  expect(fallbacks.rows).toContainEqual(
    expect.objectContaining({ model: "fb-503", main_error: "server_error", fallbacks: expect.any(Number) }),
  );
  expect(latency.rows).toContainEqual(
    expect.objectContaining({ model: "ok", p50_ms: expect.any(Number), p95_first_token_ms: expect.any(Number) }),
  );
  expect(spend.rows).toContainEqual(expect.objectContaining({ agent: "code", cost: 0.00014 }));
});

test("embeddings, models and the explained route are there for the client", async () => {
  const embedded = await openai.embeddings.create({ model: "embed", input: "hello", encoding_format: "float" });
  const listed = await openai.models.list();
  const explain = async (body: object) =>
    await (await fetch(`${gateway.url}/llm/route`, { method: "POST", body: JSON.stringify(body) })).json();

  expect(embedded.data[0]?.embedding).toEqual([0.1, 0.2, 0.3]);
  expect(listed.data.map(({ id }) => id)).toContain("x-fb-503");
  expect(await explain({ model: "h-fb-bad", privacy: "local-only" })).toMatchObject({
    tries: [{ model: "home", cost_usd: "0" }],
    skipped: [{ model: "fb-bad", reason: "the call is local-only" }],
  });
  vendor.reset();
  expect(await explain({ embeddings: true, max_cost_usd: 1 })).toMatchObject({ tries: [{ model: "embed" }] });
  expect(vendor.seen).toHaveLength(0);
});
