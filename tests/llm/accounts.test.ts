import { randomUUID } from "node:crypto";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeEach, expect, test, vi } from "vitest";
import { setSwitch } from "../../lib/llm/queries.ts";
import { connect } from "../../lib/runtime/db.ts";
import { findReport } from "../../lib/work/reports.ts";
import { startGateway } from "../support/llm.ts";
import { ANSWER } from "../support/vendor.ts";

const PROJECT = randomUUID();
// One call of "ok" reserves the estimate of its prompt and of 100 tokens out, and costs 0.00014 USD.
const { gateway, vendor, key } = await startGateway({
  projects: [PROJECT],
  budgets: "{ agents: { poor: 0.001, none: 0 } }",
});
const openai = new OpenAI({ baseURL: `${gateway.url}/llm/v1`, apiKey: "caller", maxRetries: 0 });
const db = connect();

beforeEach(() => vendor.reset());
afterAll(async () => {
  await gateway.stop();
  await vendor.stop();
  await db.end();
});

const messages = [{ role: "user" as const, content: "a canary prompt 5d1c" }];

async function rowsOf(traceId: string) {
  return await db`
    select model, model_asked, model_served, provider, outcome, error_class, usage_source, input_tokens, output_tokens,
      cost_usd::text, cost_unknown, external, task_id, agent, attempt_number, streamed, latency_ms
    from llm_calls where trace_id = ${traceId} order by attempt_number
  `;
}

async function newTask(hints: Record<string, string> = {}) {
  const id = randomUUID();
  await db`
    insert into tasks (task_id, status, request_id, request_hash, trace_id, created_by, request_text, work_type, parameters,
      hints, to_agent, priority, timeout_seconds, max_attempts, message_bytes, approval, run_id)
    values (${id}, 'pending', ${id}, '\\x00', ${id}, 'test', 'x', 'code.run', '{}', ${db.json(hints)}, 'code', 5, 60, 3, 1,
      'required', ${id})
  `;
  return id;
}

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

const CLASSES = [
  "503",
  "429",
  "reset",
  "silent",
  "context",
  "policy",
  "bad",
  "401",
  "quota",
  "gone",
  "html",
  "cut",
  "stall",
  "garbage",
  "error-first",
];

test.each(CLASSES)("a local-only call never leaves, whatever fails: %s", async (fault) => {
  const answer = await openai.chat.completions.create(
    { model: `h-fb-${fault}`, messages },
    { headers: { "x-waybill-privacy": "local-only", "x-waybill-stream": "whole" } },
  );

  expect(answer.model).toBe("fb-home");
  expect(vendor.seen.map(({ path }) => path)).toEqual(["/local/v1/chat/completions"]);
});

test("the calls of a local-only task never leave, and a chain without a local model refuses them", async () => {
  const taskId = await newTask({ privacy: "local-only" });
  const headers = { "x-waybill-task-id": taskId };

  const answer = await openai.chat.completions.create({ model: "h-fb-flap", messages }, { headers });
  const refused = await openai.chat.completions
    .create({ model: "ok", messages }, { headers })
    .catch((error: unknown) => error);

  expect(answer.model).toBe("fb-home");
  expect(refused).toMatchObject({ status: 400, code: "no_model_fits" });
  expect(vendor.of("fb-ok")).toHaveLength(0);
});

test("a budget without room answers 402 and names itself; nobody is called", async () => {
  const refused = await openai.chat.completions
    .create({ model: "ok", messages, max_tokens: 100 }, { headers: { "x-waybill-agent": "none" } })
    .catch((error: unknown) => error);

  expect(refused).toMatchObject({ status: 402, code: "budget_exceeded" });
  expect((refused as Error).message).toMatch(/agent none/);
  expect(vendor.seen).toHaveLength(0);
});

test("twenty calls at once cannot spend more than their budget", async () => {
  const calls = Array.from({ length: 20 }, async () => {
    const answer = openai.chat.completions.create(
      { model: "ok", messages, max_tokens: 100 },
      { headers: { "x-waybill-agent": "poor" } },
    );
    return await answer.then(() => 200).catch((error: unknown) => (error as { status: number }).status);
  });

  const outcomes = await Promise.all(calls);

  expect(new Set(outcomes)).toEqual(new Set([200, 402]));
  await expect.poll(async () => (await db`select count(*)::int as held from llm_reservations`)[0]?.["held"]).toBe(0);
  const [spend] =
    await db`select spent_usd::float8 as usd from llm_spend where scope = 'agent' and scope_key like 'poor %'`;
  expect(spend?.["usd"]).toBeCloseTo(outcomes.filter((status) => status === 200).length * 0.00014, 9);
  expect(spend?.["usd"]).toBeLessThanOrEqual(0.001);
});

test("the kill switch stops external calls within a second, and local models go on", async () => {
  await setSwitch(db, false, "a test");
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
    await setSwitch(db, true, null);
    await new Promise((resolve) => setTimeout(resolve, 1100));
  }
});

test("no key and no prompt is in any log line, row or error", async () => {
  const lines: string[] = [];
  for (const level of ["debug", "info", "warn", "error", "log"] as const) {
    vi.spyOn(console, level).mockImplementation((...words: unknown[]) => void lines.push(words.join(" ")));
  }
  const errors: string[] = [];
  for (const model of ["fb-401", "a-fb-401", "fb-503", "x-fb-html", "x-fb-cut", "fb-bad", "ok", "a-ok"]) {
    for (const stream of [false, true]) {
      try {
        const answer = await openai.chat.completions.create({ model, messages, stream });
        if (Symbol.asyncIterator in answer) for await (const chunk of answer) void chunk;
      } catch (error) {
        const { message, error: body, headers } = error as { message: string; error: unknown; headers: Headers };
        errors.push(JSON.stringify([message, body, [...(headers?.entries() ?? [])]]));
      }
    }
  }
  await expect.poll(async () => (await db`select 1 as one from llm_calls where model = 'a-ok'`).length).toBe(2);
  vi.restoreAllMocks();
  const rows = await db`select to_jsonb(llm_calls) as row from llm_calls`;

  expect(errors.length).toBeGreaterThan(5);
  const everything = [...lines, ...errors, JSON.stringify(rows)].join("\n");
  expect(everything.includes(key)).toBe(false);
  expect(everything.includes("canary-")).toBe(false);
  expect(everything.includes(messages[0]?.content ?? "")).toBe(false);
  expect(everything.includes(ANSWER.slice(0, 20))).toBe(false);
});

test("an answer is given though the database is away, and what it cost is logged in full", async () => {
  const { ledger } = await import("../../lib/llm/ledger.ts");
  const lines: [string, Record<string, unknown>][] = [];
  const log = { error: (event: string, fields = {}) => void lines.push([event, fields]), warn: () => {} };
  const away = connect({ ...process.env, DATABASE_URL: "postgres://waybill@127.0.0.1:9/none" });
  const budgets = { agents: {}, without_database: "serve" as const, day_usd: 1 };
  const book = ledger(away, budgets, log, Date.now);
  const facts = {
    callId: randomUUID(),
    taskId: null,
    traceId: randomUUID(),
    agent: null,
    chain: "c",
    dialect: "chat" as const,
    streamed: false,
  };

  expect(await book.reserve(facts, 0.1, 10)).toBeUndefined();
  await book.write(facts, [{ record: { ...facts, attemptId: "a", model: "m", costUsd: "0.5" } as never }]);

  expect(await book.rules(randomUUID())).toMatchObject({ known: false });
  expect(lines.at(-1)).toMatchObject(["llm call not kept", { lost: 1, model: "m", costUsd: "0.5" }]);
  await away.end({ timeout: 0 });
});

test("telling the same attempt twice keeps it once and spends it once", async () => {
  const { ledger } = await import("../../lib/llm/ledger.ts");
  const quiet = { error: () => {}, warn: () => {} };
  const book = ledger(db, { agents: { twice: 1 }, without_database: "serve" }, quiet, Date.now);
  const traceId = randomUUID();
  await openai.chat.completions.create({ model: "ok", messages }, { headers: { "x-waybill-trace-id": traceId } });
  await expect.poll(async () => (await rowsOf(traceId)).length).toBe(1);
  const facts = {
    callId: randomUUID(),
    taskId: null,
    traceId,
    agent: "twice",
    chain: "ok",
    dialect: "chat" as const,
    streamed: false,
  };
  const tokens = { input: 1, output: 1, cacheRead: 0, cacheWrite: 0, reasoning: 0 };
  const record = {
    ...facts,
    attemptId: randomUUID(),
    attemptNumber: 1,
    model: "ok",
    modelAsked: "fb-ok",
    modelServed: null,
    provider: "vendor",
    external: true,
    tokens,
    usageSource: "provider" as const,
    costUsd: "0.25",
    costUnknown: null,
    ttftMs: 1,
    latencyMs: 2,
    outcome: "answered" as const,
    errorClass: null,
    errorStatus: null,
    startedAt: new Date(),
  };
  await book.reserve(facts, 0.5, 10);

  await book.write(facts, [{ record }]);
  await book.write(facts, [{ record }]);

  expect(await db`select spent_usd::text from llm_spend where scope_key like 'twice %'`).toEqual([
    { spentUsd: "0.2500000000" },
  ]);
});

test("Anthropic's client is answered by either kind of vendor, streaming included", async () => {
  const anthropic = new Anthropic({ baseURL: `${gateway.url}/llm`, apiKey: "caller", maxRetries: 0 });
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
  const fallbacks = await findReport("llm-fallbacks").run(db, { days: "1" });
  const latency = await findReport("llm-latency").run(db, {});
  const spend = await findReport("llm-spend").run(db, {});

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
