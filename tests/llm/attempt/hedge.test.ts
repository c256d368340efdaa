import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { SURFACES } from "../../support/llm/gateway.ts";
import { ANSWER } from "../../support/llm/vendor-stream.ts";
import { llmWorld } from "../../support/llm/world.ts";

const promises = "promises: { window: 1000 }";
const { vendor, db, ask, rowsOf } = await llmWorld({
  chains: [
    `hedged: { models: [fb-slow-first, ok], ${promises}, hedge: { after_ms: 200 } }`,
    `hedged-well: { models: [ok, big], ${promises}, hedge: { after_ms: 1000 } }`,
    `hedged-both: { models: [fb-silent, fb-slow-first, home], ${promises}, hedge: { after_ms: 100 } }`,
    `hedged-p95: { models: [ok, big], ${promises}, hedge: p95 }`,
    `p95-chat: { models: [m-chat-live-slow-first, big], ${promises}, hedge: p95 }`,
    `p95-messages: { models: [m-messages-live-slow-first, a-big], ${promises}, hedge: p95 }`,
  ],
});

test("a second model is started when the first is slow; the loser is hung up on and its cost recorded", async () => {
  const traceId = randomUUID();

  const got = await ask("hedged", { mode: "live", headers: { "x-waybill-trace-id": traceId } });

  expect(got).toMatchObject({ ok: true, text: ANSWER, model: "fb-ok" });
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
  expect((await ask("hedged-well", { mode: "live" })).text).toBe(ANSWER);
  expect(vendor.seen.map(({ model }) => model)).toEqual(["fb-ok"]);
});

test("where both are too slow the next one answers", async () => {
  const got = await ask("hedged-both", { mode: "live" });

  expect(got).toMatchObject({ text: ANSWER, model: "fb-home" });
  expect(vendor.of("fb-silent")).toHaveLength(1);
});

test("hedging by p95 waits until twenty calls have told what is usual", async () => {
  await ask("hedged-p95", { mode: "live" });

  expect(vendor.seen.map(({ model }) => model)).toEqual(["fb-ok"]);
});

test.each(SURFACES)("%s: after twenty calls a second model is started past the p95 of the first", async (surface) => {
  const call = async (traceId: string) =>
    await ask(`p95-${surface}`, { surface, mode: "live", headers: { "x-waybill-trace-id": traceId } });
  // Nineteen quick ones and one that takes 300 ms: the p95 of these twenty is the slow one's.
  vendor.set({ slowMs: 0 });
  for (let i = 0; i < 19; i++) await call(randomUUID());
  vendor.set({ slowMs: 300 });
  await call(randomUUID());
  expect(vendor.of("fb-big")).toHaveLength(0);
  const traceId = randomUUID();

  vendor.set({ slowMs: 3000 });
  const got = await call(traceId);

  const first = vendor.of("fb-slow-first").at(-1);
  const [second] = vendor.of("fb-big");
  expect(got).toMatchObject({ ok: true, text: ANSWER, model: "fb-big" });
  // Not the median, which is next to nothing; and before the first one's clock runs out at 1,500 ms.
  expect((second?.t ?? 0) - (first?.t ?? 0)).toBeGreaterThanOrEqual(250);
  expect((second?.t ?? 0) - (first?.t ?? 0)).toBeLessThan(1_500);
  await expect.poll(() => first?.aborted).toBe(true);
  await expect.poll(async () => (await rowsOf(traceId)).length).toBe(2);
  const rows = await rowsOf(traceId);
  // A messages vendor tells the input before its first word.
  const told = { chat: "estimated", messages: "provider" };
  expect(rows).toMatchObject([
    { modelAsked: "fb-slow-first", outcome: "aborted", usageSource: told[surface], errorClass: null },
    { modelAsked: "fb-big", outcome: "answered", usageSource: "provider", costUsd: "0.0001400000" },
  ]);
  expect(Number(rows[0]?.["costUsd"])).toBeGreaterThan(0);
});
