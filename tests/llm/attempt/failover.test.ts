import { expect, test } from "vitest";
import { KNOWN } from "../../support/http/owner.ts";
import { MODES, type Mode, SURFACES, type Surface } from "../../support/llm/gateway.ts";
import { ANSWER } from "../../support/llm/vendor-stream.ts";
import { type Got, llmWorld } from "../../support/llm/world.ts";

// The scenarios of a public failover benchmark, from their definitions, by either official client and in each mode: what the
// caller got, and what the vendors saw. Every case has a vendor of its own, so counts are exact.

const { vendor, ask } = await llmWorld();

const cases = SURFACES.flatMap((surface) => MODES.map((mode) => [surface, mode] as const));
const lane = async (surface: Surface, mode: Mode, fault: string): Promise<Got> =>
  await ask(`${surface}-${mode}-${fault}`, { surface, mode });
/** How often the first vendor and the second were asked. */
const counts = (fault: string) => [vendor.of(`fb-${fault}`).length, vendor.of("fb-ok").length];
const gapOf = (fault: string) => {
  const [first, second] = vendor.of(`fb-${fault}`);
  return (second?.t ?? 0) - (first?.t ?? 0);
};

test.each(cases)("S01 %s %s: a 429 with Retry-After is waited for, and the same vendor answers", async (...how) => {
  const got = await lane(...how, "429-once");

  expect(got).toMatchObject({ ok: true, text: ANSWER, model: "fb-429-once" });
  expect(counts("429-once")).toEqual([2, 0]);
  expect(gapOf("429-once")).toBeGreaterThanOrEqual(950);
});

const forms = [
  ["an HTTP date", () => ({ retryAfter: new Date(Date.now() + 2000).toUTCString() }), 900],
  ["milliseconds", () => ({ retryAfter: "", retryAfterMs: "700" }), 690],
  ["milliseconds beside seconds", () => ({ retryAfter: "4", retryAfterMs: "500" }), 490],
  ["a fraction of seconds", () => ({ retryAfter: "0.5" }), 490],
] as const;
test.each(SURFACES.flatMap((surface) => forms.map((form) => [surface, ...form] as const)))(
  "%s: Retry-After as %s is honoured",
  async (surface, _form, settings, least) => {
    vendor.set(settings());

    const got = await ask(surface === "chat" ? "fb-429-once" : "a-fb-429-once", { surface });

    expect([got.text, vendor.of("fb-429-once").length]).toEqual([ANSWER, 2]);
    expect(gapOf("429-once")).toBeGreaterThanOrEqual(least);
    // Not the four seconds that stand beside it.
    expect(gapOf("429-once")).toBeLessThan(3500);
  },
);

test.each(cases)("%s %s: a Retry-After longer than may be waited goes to the next at once", async (surface, mode) => {
  vendor.set({ retryAfter: "30" });

  const got = await ask(`${surface === "chat" ? "x" : "y"}-fb-429-once`, { surface, mode });

  expect([got.text, vendor.of("fb-429-once").length <= 1, vendor.of("fb-ok").length]).toEqual([ANSWER, true, 1]);
});

test.each(cases)("S02 %s %s: a lasting 429 is backed off from once, then the next answers", async (...how) => {
  const got = await lane(...how, "429");

  expect([got.ok, got.text]).toEqual([true, ANSWER]);
  expect(counts("429")).toEqual([2, 1]);
});

test.each(cases)("S03 %s %s: a 500 is tried once more on the same vendor", async (...how) => {
  const got = await lane(...how, "500-once");

  expect([got.text, ...counts("500-once")]).toEqual([ANSWER, 2, 0]);
});

const lasting = cases.flatMap((how) => ["503", "529", "reset"].map((fault) => [...how, fault] as const));
test.each(lasting)(
  "S04 and S16 %s %s: a lasting %s fails over; model and usage are the answering vendor's",
  async (surface, mode, fault) => {
    const got = await lane(surface, mode, fault);

    expect(got).toMatchObject({ ok: true, text: ANSWER, model: "fb-ok" });
    expect(got.usage).toMatchObject(surface === "chat" ? { total_tokens: 80 } : { output_tokens: 60 });
    expect(counts(fault)).toEqual([2, 1]);
    const path = surface === "chat" ? "/v1/chat/completions" : "/v1/messages";
    expect(vendor.seen.map((seen) => seen.path)).toEqual([path, path, path]);
  },
);

test.each(cases)("S05 %s %s: a reset before headers is tried once more", async (...how) => {
  const got = await lane(...how, "reset-once");

  expect([got.text, ...counts("reset-once")]).toEqual([ANSWER, 2, 0]);
});

test.each(cases)("S06 %s %s: silence past the clock goes to the next vendor, never the same", async (...how) => {
  const got = await lane(...how, "silent");

  expect([got.text, ...counts("silent")]).toEqual([ANSWER, 1, 1]);
  await expect.poll(() => vendor.of("fb-silent")[0]?.aborted).toBe(true);
});

test.each(cases)("S12 %s %s: a context that is too long goes to a larger window only, once", async (surface, mode) => {
  const larger = await ask(`${surface}-big`, { surface, mode });
  const none = await lane(surface, mode, "context");

  expect([larger.text, larger.model]).toEqual([ANSWER, "fb-big"]);
  expect([none.ok, none.error.status]).toEqual([false, 400]);
  expect(none.raw).toContain("context_length_exceeded");
  expect([...counts("context"), vendor.of("fb-big").length]).toEqual([2, 0, 1]);
});

test.each(cases)("S13 %s %s: a content filter is told to the caller, and nobody else is asked", async (...how) => {
  const got = await lane(...how, "policy");

  expect([got.error.status, ...counts("policy")]).toEqual([400, 1, 0]);
  expect(got.raw).toContain("content_policy_violation");
});

test.each(cases)("%s %s: a bad request is told to the caller, and nobody else is asked", async (...how) => {
  const got = await lane(...how, "bad");

  expect([got.error.status, ...counts("bad")]).toEqual([400, 1, 0]);
  expect(got.error.message).toContain("temperature must be a number");
});

const passed = cases.flatMap((how) => ["401", "quota", "gone", "html", "truncated"].map((fault) => [...how, fault]));
test.each(passed as [Surface, Mode, string][])(
  "%s %s: a vendor that answers like %s is asked once, then the next answers",
  async (surface, mode, fault) => {
    const got = await lane(surface, mode, fault);

    expect(got).toMatchObject({ ok: true, text: ANSWER, model: "fb-ok" });
    expect(counts(fault)).toEqual([1, 1]);
  },
);

test.each(cases)("%s %s: a vendor that refuses connections is failed over from", async (surface, mode) => {
  const got = await ask("x-refused", { surface, mode });

  expect([got.text, vendor.seen.length]).toEqual([ANSWER, 1]);
});

test("S15: an outage is served around, and the vendor serves again after it", { timeout: 60_000 }, async () => {
  const downMs = 6000;
  const began = Date.now();
  vendor.set({ downUntil: began + downMs });
  const during: Got[] = [];
  let recoveredAfter = Number.POSITIVE_INFINITY;

  while (Date.now() - began < downMs + 30_000) {
    const got = await ask("x-fb-flap", { mode: "live" });
    during.push(got);
    if (got.model === "fb-flap") {
      recoveredAfter = Date.now() - began - downMs;
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
  }

  expect(during.every(({ text }) => text === ANSWER)).toBe(true);
  expect(recoveredAfter).toBeLessThan(30_000);
  expect(vendor.of("fb-flap").length).toBeLessThan(during.length / 2);
});

test("everything happens inside the function's time, with some left to answer", async () => {
  const { handler } = await import("../../../functions/llm/llm-route.ts");
  const body = JSON.stringify({ model: "x-fb-stall", stream: true, messages: [{ role: "user", content: "go" }] });
  const event = {
    rawPath: "/llm/v1/chat/completions",
    headers: {},
    body,
    requestContext: { http: { method: "POST" }, ...KNOWN },
  };
  // Open before the clock starts, as a function is at its start.
  await handler({
    rawPath: "/llm/v1/models",
    headers: {},
    requestContext: { http: { method: "GET" }, ...KNOWN },
  } as never);
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

test.each(SURFACES)("%s: where every vendor asks to wait the caller is told so, with how long", async (surface) => {
  vendor.set({ retryAfter: "30" });

  const { error } = await ask(surface === "chat" ? "fb-429-once" : "a-fb-429-once", { surface });

  expect([error.status, error.headers.get("retry-after"), error.headers.get("x-should-retry")]).toEqual([
    429,
    "30",
    "false",
  ]);
});
