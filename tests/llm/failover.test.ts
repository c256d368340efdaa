import OpenAI from "openai";
import { afterAll, beforeEach, expect, test } from "vitest";
import { connect } from "../../lib/runtime/db.ts";
import { startGateway } from "../support/llm.ts";
import { ANSWER } from "../support/vendor.ts";

// The sixteen scenarios of a public failover benchmark, from their definitions: what the caller got, and what the vendors saw.

const { gateway, vendor } = await startGateway();
const openai = new OpenAI({ baseURL: `${gateway.url}/llm/v1`, apiKey: "caller", maxRetries: 0 });
const db = connect();

beforeEach(() => vendor.reset());
afterAll(async () => {
  await gateway.stop();
  await vendor.stop();
  await db.end();
});

type Got = { ok: boolean; text: string; model?: string; usage?: unknown; ms: number; error?: any };

async function ask(model: string, stream: "live" | "whole" | "plain"): Promise<Got> {
  const began = Date.now();
  let text = "";
  let usage: unknown;
  let served: string | undefined;
  const messages = [{ role: "user" as const, content: "Explain in sixty words." }];
  try {
    if (stream === "plain") {
      const answer = await openai.chat.completions.create({ model, messages });
      return {
        ok: true,
        text: answer.choices[0]?.message.content ?? "",
        model: answer.model,
        usage: answer.usage,
        ms: Date.now() - began,
      };
    }
    const chunks = await openai.chat.completions.create(
      { model, messages, stream: true, stream_options: { include_usage: true } },
      { headers: { "x-waybill-stream": stream } },
    );
    for await (const chunk of chunks) {
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
      served = chunk.model;
    }
    return { ok: true, text, ...(served === undefined ? {} : { model: served }), usage, ms: Date.now() - began };
  } catch (error) {
    return { ok: false, text, ms: Date.now() - began, error };
  }
}

const modes = ["plain", "live", "whole"] as const;

test.each(modes)("S01 %s: a 429 with Retry-After is waited for, and the same vendor answers", async (mode) => {
  const got = await ask("x-fb-429-once", mode);

  const [first, second] = vendor.of("fb-429-once");
  expect([got.ok, got.text]).toEqual([true, ANSWER]);
  expect((second?.t ?? 0) - (first?.t ?? 0)).toBeGreaterThanOrEqual(950);
  expect(vendor.of("fb-ok")).toHaveLength(0);
});

test.each([
  ["an HTTP date", () => ({ retryAfter: new Date(Date.now() + 2000).toUTCString() }), 900, 2100],
  ["milliseconds", () => ({ retryAfter: "", retryAfterMs: "700" }), 690, 1500],
  ["milliseconds beside seconds", () => ({ retryAfter: "4", retryAfterMs: "500" }), 490, 1500],
  ["a fraction of seconds", () => ({ retryAfter: "0.5" }), 490, 1500],
])("Retry-After as %s is honoured", async (_form, settings, least, most) => {
  vendor.set(settings());

  const got = await ask("fb-429-once", "plain");

  const [first, second] = vendor.of("fb-429-once");
  const gap = (second?.t ?? 0) - (first?.t ?? 0);
  expect(got.text).toBe(ANSWER);
  expect(gap).toBeGreaterThanOrEqual(least);
  expect(gap).toBeLessThan(most + 500);
});

test("a Retry-After that is longer than the wait allowed goes to the next vendor at once", async () => {
  vendor.set({ retryAfter: "30" });

  const got = await ask("x-fb-429-once", "plain");

  expect([got.text, vendor.of("fb-429-once").length, vendor.of("fb-ok").length]).toEqual([ANSWER, 1, 1]);
  expect(got.ms).toBeLessThan(1000);
});

test.each(modes)("S02 %s: a lasting 429 is backed off from, then the next answers", async (mode) => {
  const got = await ask("x-fb-429", mode);

  expect([got.ok, got.text]).toEqual([true, ANSWER]);
  expect(vendor.of("fb-429").length).toBeLessThanOrEqual(2);
});

test.each(modes)("S03 %s: a 500 is tried once more on the same vendor", async (mode) => {
  const got = await ask("x-fb-500-once", mode);

  expect([got.text, vendor.of("fb-500-once").length, vendor.of("fb-ok").length]).toEqual([ANSWER, 2, 0]);
});

test.each(modes)(
  "S04 and S16 %s: a lasting 503 fails over; model and usage are the answering vendor's",
  async (mode) => {
    const got = await ask("x-fb-503", mode);

    expect(got).toMatchObject({ ok: true, text: ANSWER, model: "fb-ok", usage: { total_tokens: 80 } });
    expect(vendor.of("fb-503").length).toBeLessThanOrEqual(2);
  },
);

test.each(modes)("S05 %s: a reset before headers is tried once more", async (mode) => {
  const got = await ask("x-fb-reset-once", mode);

  expect([got.text, vendor.of("fb-reset-once").length, vendor.of("fb-ok").length]).toEqual([ANSWER, 2, 0]);
});

test.each(modes)("S06 %s: silence past the clock goes to the next vendor, never to the same one", async (mode) => {
  const got = await ask("x-fb-silent", mode);

  expect([got.text, vendor.of("fb-ok").length]).toEqual([ANSWER, 1]);
  expect(vendor.of("fb-silent").length).toBeLessThanOrEqual(1);
  expect(got.ms).toBeLessThan(4000);
});

test.each(["live", "whole"] as const)("S07 %s: a first token that is late goes to the next vendor", async (mode) => {
  const got = await ask("x-fb-slow-first", mode);

  expect([got.text, vendor.of("fb-ok").length]).toEqual([ANSWER, 1]);
  expect(got.ms).toBeLessThan(2900);
});

test.each(["cut", "cut-clean", "cut-token", "stall", "garbage", "error-inside"])(
  "S08-S10 whole: %s in mid-answer fails over, and the answer is one vendor's from its first word",
  async (fault) => {
    const got = await ask(`x-fb-${fault}`, "whole");

    expect(got).toMatchObject({ ok: true, text: ANSWER, model: "fb-ok" });
    const last = vendor.of("fb-ok")[0]?.body.messages.at(-1);
    expect(last.role).toBe("user");
  },
);

test.each(["cut", "cut-clean", "cut-token", "stall", "garbage", "error-inside"])(
  "S08-S10 live: %s in mid-answer is told as an error, never as a success",
  async (fault) => {
    const got = await ask(`x-fb-${fault}`, "live");

    expect(got.ok).toBe(false);
    expect(got.text.length).toBeGreaterThan(0);
    expect(ANSWER.startsWith(got.text)).toBe(true);
    expect(vendor.of("fb-ok")).toHaveLength(0);
    expect((await ask("ok", "live")).text).toBe(ANSWER);
  },
);

test.each(["x-fb-error-first", "y-fb-error-first"])(
  "%s live: overloaded inside a stream, before its first token, fails over",
  async (chain) => {
    const got = await ask(chain, "live");

    expect(got).toMatchObject({ ok: true, text: ANSWER, model: "fb-ok" });
  },
);

test.each(["no-done", "no-done-open"])(
  "S11: a stream that ends like %s is finished promptly, with its usage",
  async (fault) => {
    const got = await ask(`x-fb-${fault}`, "live");

    expect(got).toMatchObject({ ok: true, text: ANSWER, usage: { total_tokens: 80 } });
    expect(got.ms).toBeLessThan(1500);
  },
);

test.each(modes)("S12 %s: a context that is too long goes to a larger window only, once", async (mode) => {
  const larger = await ask("x-big", mode);
  const none = await ask("x-fb-context", mode);

  expect([larger.text, larger.model]).toEqual([ANSWER, "fb-big"]);
  expect([none.error.status, none.error.code]).toEqual([400, "context_length_exceeded"]);
  expect([vendor.of("fb-context").length, vendor.of("fb-ok").length]).toEqual([2, 0]);
});

test.each(modes)("S13 %s: a content filter is told to the caller, and nobody else is asked", async (mode) => {
  const got = await ask("x-fb-policy", mode);

  expect([got.error.status, got.error.code]).toEqual([400, "content_policy_violation"]);
  expect([vendor.of("fb-policy").length, vendor.of("fb-ok").length]).toEqual([1, 0]);
});

test.each(modes)("%s: a bad request is told to the caller, and nobody else is asked", async (mode) => {
  const got = await ask("x-fb-bad", mode);

  expect([got.error.status, vendor.of("fb-bad").length, vendor.of("fb-ok").length]).toEqual([400, 1, 0]);
});

test("S14: no vendor is ever sent the beginning of another's answer", async () => {
  await ask("x-fb-cut", "whole");

  for (const { body } of vendor.seen) expect(body.messages.at(-1).role).toBe("user");
});

test.each(["gone", "html", "truncated", "huge", "529"])(
  "a vendor that answers like %s is failed over from",
  async (fault) => {
    const got = await ask(`x-fb-${fault}`, "plain");

    expect(got).toMatchObject({ ok: true, text: ANSWER, model: "fb-ok" });
  },
);

test("a vendor that refuses connections is failed over from", async () => {
  expect((await ask("x-refused", "live")).text).toBe(ANSWER);
});

test("S15: an outage is served around, and the vendor serves again after it", { timeout: 60_000 }, async () => {
  const downMs = 6000;
  const began = Date.now();
  vendor.set({ downUntil: began + downMs });
  const during: Got[] = [];
  let recoveredAfter = Number.POSITIVE_INFINITY;

  while (Date.now() - began < downMs + 30_000) {
    const got = await ask("x-fb-flap", "live");
    during.push(got);
    if (got.model === "fb-flap") {
      recoveredAfter = Date.now() - began - downMs;
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
  }

  expect(during.every(({ text }) => text === ANSWER)).toBe(true);
  expect(recoveredAfter).toBeLessThan(10_000);
  expect(vendor.of("fb-flap").length).toBeLessThan(during.length / 2);
});

test("everything happens inside the function's time, with some left to answer", async () => {
  const { handler } = await import("../../functions/llm-route.ts");
  const body = JSON.stringify({ model: "x-fb-stall", stream: true, messages: [{ role: "user", content: "go" }] });
  const event = {
    rawPath: "/llm/v1/chat/completions",
    headers: {},
    body,
    requestContext: { http: { method: "POST" } },
  };
  const until = Date.now() + 3000;
  const context = { getRemainingTimeInMillis: () => until - Date.now() };

  const stalled = await handler(event as never, context as never);
  const alone = await handler(
    { ...event, body: body.replace("x-fb-stall", "fb-silent") } as never,
    {
      getRemainingTimeInMillis: () => 2500,
    } as never,
  );

  expect(Date.now()).toBeLessThan(until + 2500);
  expect(stalled.body).toMatch(/data: \[DONE\]\n\n$/);
  expect(alone.statusCode).toBe(504);
});

test("where every vendor asks to wait the caller is told so, with how long", async () => {
  vendor.set({ retryAfter: "30" });

  const answer = await fetch(`${gateway.url}/llm/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "fb-429-once", messages: [{ role: "user", content: "go" }] }),
  });

  expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "30"]);
});

test("a caller that goes away takes the vendor's call with it", async () => {
  const gone = new AbortController();
  const chunks = await openai.chat.completions.create(
    { model: "fb-endless", messages: [{ role: "user", content: "go" }], stream: true },
    { signal: gone.signal },
  );
  for await (const chunk of chunks) {
    if (chunk.choices[0]?.delta.content) break;
  }
  gone.abort();

  await expect.poll(() => vendor.of("fb-endless")[0]?.aborted).toBe(true);
  await expect
    .poll(
      async () => (await db`select outcome, usage_source, output_tokens from llm_calls where model = 'fb-endless'`)[0],
    )
    .toMatchObject({
      outcome: "aborted",
      usageSource: "estimated",
    });
});
