import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { findReport } from "../../../lib/reports/all.ts";
import { ACTOR } from "../../support/database/actor.ts";
import { llmWorld, PROMPT } from "../../support/llm/world.ts";

// Unknown is NULL, never 0: only what never left, or what the vendor refused, is known to be free.

const { gateway, vendor, db, ask, rowsOf, newTask } = await llmWorld({ budgets: "{ task_usd: 5 }" });

const unknown = { usageSource: "none", costUsd: null, costUnknown: "usage unknown" };
const free = { usageSource: "none", costUsd: "0.0000000000", costUnknown: null };

const spentBy = async (taskId: string) =>
  (await db`select spent_usd::float8 as usd from llm_spend where scope_key = ${taskId}`)[0]?.["usd"];
const usesOf = async (taskId: string) =>
  (await db`select external_ai_used from tasks where task_id = ${taskId}`)[0]?.["externalAiUsed"];
const headersOf = async () => ({ "x-waybill-trace-id": randomUUID(), "x-waybill-task-id": await newTask() });

test.each([
  ["fb-silent", "plain", "timeout"],
  ["fb-silent", "live", "timeout"],
  ["fb-reset", "plain", "network"],
  ["fb-html", "plain", "bad_answer"],
  ["fb-truncated", "plain", "bad_answer"],
] as const)(
  "%s %s: a prompt that left and has no usage has no cost, and its reservation is spent",
  async (model, mode, errorClass) => {
    const headers = await headersOf();

    const got = await ask(model, { mode, headers });

    expect(got.ok).toBe(false);
    await expect.poll(async () => await rowsOf(headers["x-waybill-trace-id"])).not.toEqual([]);
    for (const row of await rowsOf(headers["x-waybill-trace-id"]))
      expect(row).toMatchObject({ errorClass, ...unknown });
    // A hundred tokens out at 2 USD a million, and a little for the prompt.
    expect(await spentBy(headers["x-waybill-task-id"])).toBeGreaterThan(0.0002);
    for (const use of await usesOf(headers["x-waybill-task-id"]))
      expect(use).toMatchObject({ tokens: null, cost: null });
  },
);

test.each([
  ["refused", "plain", "network"],
  ["fb-503", "plain", "server_error"],
  ["fb-529", "live", "server_error"],
  ["fb-bad", "live", "bad_request"],
  ["fb-429", "whole", "rate_limit"],
] as const)("%s %s: what never left, or was refused, costs nothing", async (model, mode, errorClass) => {
  const headers = await headersOf();

  await ask(model, { mode, headers });

  await expect.poll(async () => await rowsOf(headers["x-waybill-trace-id"])).not.toEqual([]);
  for (const row of await rowsOf(headers["x-waybill-trace-id"])) expect(row).toMatchObject({ errorClass, ...free });
  expect(await spentBy(headers["x-waybill-task-id"])).toBe(0);
});

test("where no connection was made nothing has left, and the task is not marked", async () => {
  const headers = await headersOf();

  await ask("refused", { headers });

  await expect.poll(async () => await rowsOf(headers["x-waybill-trace-id"])).toHaveLength(3);
  expect(await usesOf(headers["x-waybill-task-id"])).toBeNull();
});

test("a caller that goes away while a whole answer is awaited leaves an unknown cost behind", async () => {
  const headers = await headersOf();
  const gone = new AbortController();
  const body = JSON.stringify({ model: "fb-silent", messages: [{ role: "user", content: PROMPT }] });
  const asked = fetch(`${gateway.url}/llm/v1/chat/completions`, { method: "POST", headers, body, signal: gone.signal });
  await expect.poll(() => vendor.of("fb-silent").length).toBe(1);

  gone.abort();

  await expect(asked).rejects.toThrow(/abort/);
  await expect
    .poll(async () => await rowsOf(headers["x-waybill-trace-id"]))
    .toMatchObject([{ outcome: "aborted", ...unknown }]);
  expect(await spentBy(headers["x-waybill-task-id"])).toBeGreaterThan(0);
});

test("each attempt's use is settled by itself, though both asked the same model", async () => {
  const headers = await headersOf();

  const got = await ask("fb-500-once", { headers });

  expect(got.ok).toBe(true);
  await expect
    .poll(async () => await usesOf(headers["x-waybill-task-id"]))
    .toMatchObject([
      { attempt: 1, tokens: null, cost: 0 },
      { attempt: 2, tokens: 80, cost: 0.00014 },
    ]);
});

test("the reports count what is unknown beside what is known", async () => {
  const headers = await headersOf();
  await ask("fb-reset-once", { headers });
  await expect.poll(async () => (await usesOf(headers["x-waybill-task-id"]))?.[1]?.cost).toBe(0.00014);

  const uses = await findReport("external-ai-use").run(db, ACTOR, {});
  const costs = await findReport("ai-cost-by-model").run(db, ACTOR, {});

  expect(uses.rows).toContainEqual(
    expect.objectContaining({
      task_id: headers["x-waybill-task-id"],
      uses: 2,
      tokens: 80,
      cost: 0.00014,
      unknown_cost_uses: 1,
      unknown_token_uses: 1,
    }),
  );
  expect(costs.rows).toContainEqual(expect.objectContaining({ model: "fb-silent", cost: null }));
});
