import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import type { CallFacts } from "../../../lib/llm/accounts/account.ts";
import { ledger } from "../../../lib/llm/accounts/ledger.ts";
import { estimate } from "../../../lib/llm/before-call.ts";
import type { Model } from "../../../lib/llm/config/schema.ts";
import { TEAM } from "../../support/database/actor.ts";
import { SURFACES } from "../../support/llm/gateway.ts";
import { llmWorld } from "../../support/llm/world.ts";

// A call of "ok" costs 0.00014 USD; it reserves the estimate of its prompt and of 100 tokens out, which is more.
const CALL_USD = 0.00014;
const { vendor, db, ask, newTask } = await llmWorld({
  budgets: "{ agents: { poor: 0.001, none: 0, careful: 0.0008 }, task_usd: 0.0005 }",
});

const spentBy = async (scope: string, key: string) => {
  const [row] = await db`
    select spent_usd::float8 as usd from llm_spend where scope = ${scope} and scope_key like ${`${key}%`}
  `;
  return row?.["usd"] as number | undefined;
};
const held = async () => (await db`select count(*)::int as n from llm_reservations`)[0]?.["n"];

test.each(SURFACES)("%s: a budget without room answers 402 and names itself; nobody is called", async (surface) => {
  const refused = await ask("ok", { surface, headers: { "x-waybill-agent": "none" } });

  expect(refused.error.status).toBe(402);
  expect(refused.raw).toContain("budget_exceeded");
  expect(refused.error.message).toMatch(/agent none/);
  expect(vendor.seen).toHaveLength(0);
});

test.each([
  ["agent", "poor", 0.001, async () => ({ "x-waybill-agent": "poor" })],
  ["task", "", 0.0005, async () => ({ "x-waybill-task-id": await newTask() })],
] as const)("twenty calls at once cannot spend more than the budget of their %s", async (scope, agent, limit, tie) => {
  const headers = await tie();
  const key = "x-waybill-task-id" in headers ? headers["x-waybill-task-id"] : agent;

  const all = await Promise.all(Array.from({ length: 20 }, async () => await ask("ok", { headers })));

  const answered = all.filter(({ ok }) => ok).length;
  expect(new Set(all.map(({ error }) => error?.status))).toEqual(new Set([undefined, 402]));
  await expect.poll(held).toBe(0);
  expect(await spentBy(scope, key)).toBeCloseTo(answered * CALL_USD, 9);
  expect(await spentBy(scope, key)).toBeLessThanOrEqual(limit);
  // No vendor saw more than what was let through.
  expect(vendor.of("fb-ok")).toHaveLength(answered);
});

test("what a failed call does not use is given back, one call after the other", async () => {
  const headers = { "x-waybill-agent": "careful" };
  const outcomes: (number | undefined)[] = [];
  for (let i = 0; i < 4; i++) outcomes.push((await ask("fb-bad", { headers })).error.status);
  outcomes.push((await ask("ok", { headers })).error?.status);

  expect(outcomes).toEqual([400, 400, 400, 400, undefined]);
  await expect.poll(held).toBe(0);
  expect(await spentBy("agent", "careful")).toBeCloseTo(CALL_USD, 9);
});

test("what a broken answer had cost when it broke is spent", async () => {
  const headers = { "x-waybill-task-id": await newTask() };
  await ask("chat-live-cut", { mode: "live", headers });

  await expect.poll(async () => await spentBy("task", headers["x-waybill-task-id"])).toBeGreaterThan(0);
  await expect.poll(held).toBe(0);
});

// No vendor's answer has an unknown cost as long as llm:check is obeyed; what the price table throws at is told to the ledger here.
const tokens = { input: 1, output: 1, cacheRead: 0, cacheWrite: 0, reasoning: 0 };
const recordOf = (facts: CallFacts, attemptNumber: number, costUsd: string | null) => ({
  ...facts,
  attemptId: randomUUID(),
  attemptNumber,
  model: "ok",
  modelAsked: "fb-ok",
  modelServed: null,
  provider: "vendor",
  external: true,
  left: true,
  tokens,
  usageSource: "provider" as const,
  costUsd,
  costUnknown: costUsd === null ? "no price for fb-ok" : null,
  ttftMs: 1,
  latencyMs: 2,
  outcome: "answered" as const,
  errorClass: null,
  errorStatus: null,
  startedAt: new Date(),
});
const factsOf = (agent: string): CallFacts => ({
  callId: randomUUID(),
  teamId: TEAM,
  taskId: null,
  traceId: randomUUID(),
  agent,
  chain: "ok",
  dialect: "chat",
  streamed: false,
});
const quiet = { error: () => {}, warn: () => {} };
const bookOf = (agent: string) =>
  ledger(db, { agents: { [agent]: 1 }, without_database: "serve" }, quiet, Date.now, () => {});

test("a cost that stays unknown is charged at its reservation, so a budget ends though no price was ever told", async () => {
  const book = bookOf("blind");
  const refusals: unknown[] = [];

  for (let i = 0; i < 4; i++) {
    const facts = factsOf("blind");
    const refusal = await book.reserve(facts, 0.4, 10);
    refusals.push(refusal?.usedUsd);
    if (refusal === undefined) await book.write(facts, [{ record: recordOf(facts, 1, null) }]);
  }

  expect(refusals).toEqual([undefined, undefined, 0.8, 0.8]);
  expect(await spentBy("agent", "blind")).toBeCloseTo(0.8, 9);
  expect(await held()).toBe(0);
});

test("of a call with a known and an unknown cost the known one and its reservation are charged", async () => {
  const facts = factsOf("half");
  const book = bookOf("half");

  await book.reserve(facts, 0.4, 10);
  await book.write(facts, [{ record: recordOf(facts, 1, null) }, { record: recordOf(facts, 2, "0.1") }]);

  expect(await spentBy("agent", "half")).toBeCloseTo(0.5, 9);
});

test("telling the same attempt twice keeps it once and spends it once", async () => {
  const facts = factsOf("twice");
  const book = bookOf("twice");
  const record = recordOf(facts, 1, "0.25");
  await book.reserve(facts, 0.5, 10);

  await book.write(facts, [{ record }]);
  await book.write(facts, [{ record }]);

  expect(await spentBy("agent", "twice")).toBeCloseTo(0.25, 9);
  expect(await db`select 1 from llm_calls where call_id = ${facts.callId}`).toHaveLength(1);
});

test("a call of which nobody knows what it may cost has no room", async () => {
  const refusal = await bookOf("unknown").reserve(factsOf("unknown"), Number.POSITIVE_INFINITY, 10);

  expect(refusal).toMatchObject({ limitUsd: 1, usedUsd: 0 });
  expect(await held()).toBe(0);
});

test.each([
  ["a limit of its own", { max_tokens: 100 }, 100],
  ["five answers of a limit", { max_tokens: 100, n: 5 }, 500],
  ["no limit", {}, 64_000],
])("what is reserved is the most that may be said: %s", (_name, body, output) => {
  const provider = { type: "openai", base_url: "http://127.0.0.1", local: false, name: "v" } as Model["provider"];
  const model = { name: "m", id: "m", provider, max_output: 64_000, price: { input: 0, output: 1 } } as Model;

  expect(estimate(model, body)).toBeCloseTo(output / 1e6, 9);
  expect(estimate({ ...model, provider: { ...provider, type: "anthropic" } }, body)).toBeCloseTo(
    Math.min(output, 8_192) / 1e6,
    9,
  );
  // llm:check refuses such a model; were one asked all the same, no budget would have room for it.
  expect(estimate({ ...model, id: "nobody-knows", price: undefined }, body)).toBe(Number.POSITIVE_INFINITY);
});
