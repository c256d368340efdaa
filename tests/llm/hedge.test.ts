import { randomUUID } from "node:crypto";
import OpenAI from "openai";
import { afterAll, beforeEach, expect, test } from "vitest";
import { connect } from "../../lib/runtime/db.ts";
import { startGateway } from "../support/llm.ts";
import { ANSWER } from "../support/vendor.ts";

const { gateway, vendor } = await startGateway();
const openai = new OpenAI({ baseURL: `${gateway.url}/llm/v1`, apiKey: "caller", maxRetries: 0 });
const db = connect();

beforeEach(() => vendor.reset());
afterAll(async () => {
  await gateway.stop();
  await vendor.stop();
  await db.end();
});

async function ask(model: string, traceId: string = randomUUID()) {
  const began = Date.now();
  const stream = await openai.chat.completions.create(
    { model, messages: [{ role: "user", content: "go" }], stream: true },
    { headers: { "x-waybill-trace-id": traceId } },
  );
  let text = "";
  let served = "";
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    served = chunk.model;
  }
  return { text, served, ms: Date.now() - began };
}

test("a second model is started when the first is slow; the loser is hung up on and its cost recorded", async () => {
  const traceId = randomUUID();

  const got = await ask("hedged", traceId);

  expect(got).toMatchObject({ text: ANSWER, served: "fb-ok" });
  expect(got.ms).toBeLessThan(1000);
  await expect.poll(() => vendor.of("fb-slow-first")[0]?.aborted).toBe(true);
  await expect
    .poll(
      async () =>
        await db`select model, outcome, usage_source, cost_usd is not null as priced from llm_calls where trace_id = ${traceId} order by 1`,
    )
    .toEqual([
      { model: "fb-slow-first", outcome: "aborted", usageSource: "estimated", priced: true },
      { model: "ok", outcome: "answered", usageSource: "provider", priced: true },
    ]);
});

test("a first model that answers in time is asked alone", async () => {
  expect((await ask("hedged-well")).text).toBe(ANSWER);
  expect(vendor.seen.map(({ model }) => model)).toEqual(["fb-ok"]);
});

test("where both are too slow the next one answers", async () => {
  const got = await ask("hedged-both");

  expect(got).toMatchObject({ text: ANSWER, served: "fb-home" });
  expect(vendor.of("fb-silent")).toHaveLength(1);
});

test("hedging by p95 waits until twenty calls have told what is usual", async () => {
  await ask("hedged-p95");

  expect(vendor.seen.map(({ model }) => model)).toEqual(["fb-ok"]);
});
