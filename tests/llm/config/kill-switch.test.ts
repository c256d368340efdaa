import { randomUUID } from "node:crypto";
import OpenAI from "openai";
import { afterAll, beforeEach, expect, test, vi } from "vitest";
import { setSwitch } from "../../../lib/llm/accounts/queries.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { ACTOR } from "../../support/database/actor.ts";
import { serveConfiguration } from "../../support/llm/gateway.ts";
import { startVendor } from "../../support/llm/vendor.ts";

// The switch is thrown while vendors are silent, in mid-answer or waited for: every external call ends, a local one goes on.

const vendor = await startVendor();
const configuration = `providers:
  out: { type: openai, base_url: "${vendor.url}/v1", key: "\${env:SWITCH_KEY}" }
  house: { type: openai, base_url: "${vendor.url}/house/v1", local: true }
models:
  silent: { provider: out, id: fb-silent, window: 1000, price: { input: 1, output: 2 } }
  endless: { provider: out, id: fb-endless, window: 1000, price: { input: 1, output: 2 } }
  limited: { provider: out, id: fb-429-once, window: 1000, price: { input: 1, output: 2 } }
  ok: { provider: out, id: fb-ok, window: 1000, price: { input: 1, output: 2 } }
  slow-home: { provider: house, id: fb-endless, window: 1000, price: 0 }
  home: { provider: house, id: fb-home, window: 1000, price: 0 }
chains:
  silent-home: { models: [silent, ok, home], promises: { window: 1 } }
  endless-home: { models: [endless, ok, home], promises: { window: 1 } }
  limited-home: { models: [limited, home], promises: { window: 1 }, rate_limit_wait_ms: 15000 }
  hedged-home: { models: [silent, endless, home], promises: { window: 1 }, hedge: { after_ms: 50 } }
timeouts: { first_token_ms: 19000, idle_ms: 19000 }
budgets: { day_usd: 5 }
`;
process.env["SWITCH_KEY"] = "canary";
const { gateway } = await serveConfiguration(configuration);
const openai = new OpenAI({ baseURL: `${gateway.url}/llm/v1`, apiKey: "caller", maxRetries: 0 });
const db = connect();
const ANSWER = Array.from({ length: 60 }, (_, index) => `word${index}`).join(" ");
const messages = [{ role: "user" as const, content: "go on for long" }];

beforeEach(async () => {
  vendor.reset();
  await setSwitch(db, ACTOR, true, null);
  await vi.waitUntil(async () => (await triesOf("ok")).length === 1, { timeout: 5_000 });
});
afterAll(async () => {
  await gateway.stop();
  await vendor.stop();
  await db.end();
});

async function triesOf(model: string): Promise<string[]> {
  const answer = await fetch(`${gateway.url}/llm/route`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model }),
  });
  const { tries } = (await answer.json()) as { tries: { model: string }[] };
  return tries.map((one) => one.model);
}

/** Throws the switch as soon as the vendor has what is waited for. */
async function switchOffOnce(seen: () => boolean): Promise<void> {
  await expect.poll(seen, { timeout: 5_000 }).toBe(true);
  await setSwitch(db, ACTOR, false, "too dear");
}

async function rowsOf(traceId: string) {
  return await db`
    select model, outcome, error_class, usage_source, output_tokens > 0 as said, cost_usd > 0 as paid, cost_unknown
    from llm_calls where trace_id = ${traceId} order by attempt_number
  `;
}

async function spent(): Promise<number> {
  const [row] = await db`select spent_usd::float8 as usd from llm_spend where scope = 'day'`;
  return row?.["usd"] ?? 0;
}

const stopped = {
  outcome: "aborted",
  errorClass: "switched_off",
  usageSource: "estimated",
  paid: true,
  costUnknown: null,
};

test("a plain call that waits for a vendor is ended, told as 503 and accounted", async () => {
  const traceId = randomUUID();
  const answer = openai.chat.completions
    .create({ model: "silent", messages }, { headers: { "x-waybill-trace-id": traceId } })
    .catch((error: unknown) => error);

  await switchOffOnce(() => vendor.of("fb-silent").length === 1);

  expect(await answer).toMatchObject({ status: 503, code: "switched_off" });
  await expect.poll(() => vendor.of("fb-silent")[0]?.aborted).toBe(true);
  await expect
    .poll(async () => await rowsOf(traceId))
    .toEqual([
      // A whole answer was awaited: how far the vendor was, nobody knows.
      { model: "silent", ...stopped, usageSource: "none", said: null, paid: null, costUnknown: "usage unknown" },
    ]);
});

test("a live stream in mid-answer ends with an error event and no [DONE]; its usage is kept, its reservation settled", async () => {
  const traceId = randomUUID();
  const before = await spent();
  const answer = await fetch(`${gateway.url}/llm/v1/chat/completions`, {
    method: "POST",
    headers: { "x-waybill-trace-id": traceId },
    body: JSON.stringify({ model: "endless-home", messages, stream: true }),
  });
  let text = "";
  const reading = (async () => {
    for await (const part of answer.body ?? []) text += Buffer.from(part).toString();
  })();

  await switchOffOnce(() => text.includes("word1"));
  await reading;

  const error = /^data: (\{"error".*)$/m.exec(text)?.[1] ?? "{}";
  expect(JSON.parse(error)).toMatchObject({ error: { code: "switched_off" } });
  expect(text).not.toContain("[DONE]");
  expect(text).not.toContain("word59");
  await expect.poll(() => vendor.of("fb-endless")[0]?.aborted).toBe(true);
  expect(vendor.of("fb-home")).toHaveLength(0);
  await expect.poll(async () => await rowsOf(traceId)).toEqual([{ model: "endless", said: true, ...stopped }]);
  expect(await db`select 1 from llm_reservations`).toHaveLength(0);
  const [row] = await db`select cost_usd::float8 as usd from llm_calls where trace_id = ${traceId}`;
  expect((await spent()) - before).toBeCloseTo(row?.["usd"], 9);
});

test("the official client gets what had come, then an error", async () => {
  const chunks = await openai.chat.completions.create({ model: "endless", messages, stream: true });
  let text = "";
  const reading = (async () => {
    for await (const chunk of chunks) text += chunk.choices[0]?.delta.content ?? "";
  })().catch((error: unknown) => error);

  await switchOffOnce(() => text.includes("word1"));

  expect(await reading).toMatchObject({ code: "switched_off" });
  expect(ANSWER.startsWith(text)).toBe(true);
});

test.each(["silent-home", "endless-home", "hedged-home"])(
  "%s whole: the chain goes on to its local model, past the other external ones",
  async (model) => {
    const traceId = randomUUID();
    const asked = openai.chat.completions.create(
      { model, messages, stream: true },
      { headers: { "x-waybill-stream": "whole", "x-waybill-trace-id": traceId } },
    );
    const hedged = model === "hedged-home";
    await switchOffOnce(() => vendor.seen.length === (hedged ? 2 : 1));
    let text = "";
    for await (const chunk of await asked) text += chunk.choices[0]?.delta.content ?? "";

    expect(text).toBe(ANSWER);
    expect(vendor.of("fb-ok")).toHaveLength(0);
    expect(vendor.of("fb-home")).toHaveLength(1);
    await expect.poll(async () => await rowsOf(traceId)).toHaveLength(hedged ? 3 : 2);
    const rows = await rowsOf(traceId);
    for (const row of rows.slice(0, -1)) expect(row).toMatchObject(stopped);
    expect(rows.at(-1)).toMatchObject({ model: "home", outcome: "answered" });
  },
);

test("a plain call goes on to the local model of its chain", async () => {
  const answer = openai.chat.completions.create({ model: "silent-home", messages });

  await switchOffOnce(() => vendor.of("fb-silent").length === 1);

  expect((await answer).model).toBe("fb-home");
});

test("a call that waits for its next try is not made again", async () => {
  vendor.set({ retryAfter: "8" });
  const answer = openai.chat.completions.create({ model: "limited-home", messages });

  await switchOffOnce(() => vendor.of("fb-429-once").length === 1);

  expect((await answer).model).toBe("fb-home");
  expect(vendor.of("fb-429-once")).toHaveLength(1);
});

test("while it is off a new call is told so, unless a local model fits", async () => {
  await setSwitch(db, ACTOR, false, "too dear");
  await vi.waitUntil(async () => (await triesOf("ok")).length === 0, { timeout: 5_000 });
  const call = async (model: string, headers = {}) =>
    await openai.chat.completions.create({ model, messages }, { headers }).catch((error: unknown) => error);

  expect(await call("ok")).toMatchObject({
    status: 503,
    code: "switched_off",
    message: expect.stringMatching(/calls to external vendors are switched off/i),
  });
  expect(await call("silent-home")).toMatchObject({ model: "fb-home" });
  // What would not have left anyway is refused for what it is.
  expect(await call("ok", { "x-waybill-privacy": "local-only" })).toMatchObject({ status: 400, code: "no_model_fits" });
  expect(vendor.seen.map(({ model }) => model)).toEqual(["fb-home"]);
});

test("a call to a local model goes on to its end", { timeout: 20_000 }, async () => {
  const external = openai.chat.completions.create({ model: "silent", messages }).catch((error: unknown) => error);
  const chunks = await openai.chat.completions.create({ model: "slow-home", messages, stream: true });
  await switchOffOnce(() => vendor.seen.length === 2);
  let text = "";
  for await (const chunk of chunks) text += chunk.choices[0]?.delta.content ?? "";

  expect(await external).toMatchObject({ code: "switched_off" });
  expect(text).toBe(ANSWER);
});
