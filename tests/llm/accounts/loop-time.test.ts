import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { inLoopTime } from "../../../lib/llm/accounts/loop-time.ts";
import { llmWorld } from "../../support/llm/world.ts";

// A busy process is no sign of a database that is away.

const { vendor, ask, newTask } = await llmWorld({ budgets: "{ agents: { poor: 0.005 } }" });

test("hundreds of calls at once are held to their budget, none of them unchecked", { timeout: 60_000 }, async () => {
  const headers = { "x-waybill-agent": "poor", "x-waybill-task-id": await newTask() };

  const all = await Promise.all(Array.from({ length: 400 }, async () => await ask("ok", { headers })));

  expect(new Set(all.map(({ error }) => error?.status))).toEqual(new Set([undefined, 402]));
  const answered = all.filter(({ ok }) => ok).length;
  expect(vendor.of("fb-ok")).toHaveLength(answered);
  expect(answered * 0.00014).toBeLessThanOrEqual(0.005);
});

test("an event loop that was blocked past the bound still hears what had come", async () => {
  const answered = inLoopTime(200, sleep(20, "here"));
  const until = Date.now() + 400;
  while (Date.now() < until);

  expect(await answered).toBe("here");
});

test("what does not come is given up on", async () => {
  await expect(inLoopTime(50, new Promise(() => {}))).rejects.toThrow("more than 50 ms");
});
