import fc from "fast-check";
import { expect, test } from "vitest";
import { classify, ERROR_CLASSES, type Failure, retryAfter, tidy } from "../../../lib/llm/config/failure.ts";
import { type Chain, type Model, RULES } from "../../../lib/llm/config/schema.ts";
import { afterFailure, type Candidate, decide, type Health, plan, stateOf } from "../../../lib/llm/routing/rules.ts";

const model = (name: string, window: number, local: boolean): Model => ({
  name,
  id: name,
  window,
  can: [],
  price: 0,
  timeouts: {},
  provider: { name: "p", type: "openai", base_url: "http://x", local, optional: false, headers: {} },
});

const Failures = fc.record(
  {
    class: fc.constantFrom(...ERROR_CLASSES),
    message: fc.string(),
    retryAfterMs: fc.integer({ min: 0, max: 100_000 }),
  },
  { requiredKeys: ["class", "message"] },
) as fc.Arbitrary<Failure>;
const Models = fc
  .array(fc.record({ window: fc.integer({ min: 1, max: 1000 }), local: fc.boolean() }), { maxLength: 5 })
  .map((all) => all.map(({ window, local }, index) => model(`m${index}`, window, local)));
const Rules = fc.dictionary(fc.constantFrom(...ERROR_CLASSES), fc.constantFrom(...RULES)) as fc.Arbitrary<Chain["on"]>;

/** Plays a whole call: every attempt fails with the next of `failures`. */
function play(models: Model[], on: Chain["on"], failures: Failure[], remainingMs: number) {
  const asked: { model: Model; failure: Failure; waitedMs: number }[] = [];
  let [candidate, ...rest]: Candidate[] = models.map((one) => ({ model: one, probe: false }));
  let tries = 0;
  let left = remainingMs;
  for (let i = 0; candidate !== undefined && i < 100; i++) {
    const failure = failures[i % failures.length] as Failure;
    tries++;
    const step = decide({
      chain: { on, rate_limit_wait_ms: 5000 },
      candidate,
      failure,
      tries,
      rest,
      remainingMs: left,
      dice: 0.5,
    });
    asked.push({ model: candidate.model, failure, waitedMs: step.do === "retry" ? step.waitMs : 0 });
    if (step.do === "retry") left -= step.waitMs;
    else if (step.do === "next") {
      [candidate, ...rest] = step.rest as Candidate[];
      tries = 0;
    } else break;
  }
  return { asked, left };
}

test("every call ends: within its time, and with at most three tries of a model", () => {
  fc.assert(
    fc.property(
      Models,
      Rules,
      fc.array(Failures, { minLength: 1 }),
      fc.integer({ min: 2000, max: 60_000 }),
      (models, on, failures, ms) => {
        const { asked, left } = play(models, on, failures, ms);

        for (const one of models) expect(asked.filter((each) => each.model === one).length).toBeLessThanOrEqual(3);
        expect(left).toBeGreaterThanOrEqual(0);
      },
    ),
  );
});

test("a silent vendor, a refused key or an exhausted account is never asked the same thing again", () => {
  fc.assert(
    fc.property(Models, Rules, fc.constantFrom("timeout", "auth", "quota", "not_found"), (models, on, errorClass) => {
      const { asked } = play(models, on, [{ class: errorClass, message: "" }], 60_000);

      expect(asked.length).toBe(new Set(asked.map((each) => each.model)).size);
    }),
  );
});

test("a bad request goes to nobody else, whatever a chain's rules say", () => {
  fc.assert(
    fc.property(Models, Rules, (models, on) => {
      expect(play(models, on, [{ class: "bad_request", message: "" }], 60_000).asked.length).toBeLessThanOrEqual(1);
    }),
  );
});

test("after a context that was too long only larger windows are asked", () => {
  fc.assert(
    fc.property(Models, Rules, (models, on) => {
      const windows = play(models, on, [{ class: "context_window", message: "" }], 60_000).asked.map(
        (each) => each.model.window,
      );

      expect(windows.every((window, index) => index === 0 || window > (windows[index - 1] ?? 0))).toBe(true);
    }),
  );
});

test("nothing of a local-only call is planned for an external vendor, whatever the health", () => {
  const Healths = fc.option(
    fc.record({ failures: fc.nat(5), opens: fc.nat(5), openUntil: fc.nat(100), probingUntil: fc.nat(100) }),
    { nil: undefined },
  );
  fc.assert(
    fc.property(
      Models,
      fc.array(Healths, { minLength: 5, maxLength: 5 }),
      fc.boolean(),
      (models, healths, external) => {
        const context = { health: (one: Model) => [healths[models.indexOf(one)]], external, usd: () => 0, now: 50 };
        const { tries, skipped } = plan(models, { can: [], tokens: 1, localOnly: true }, context);

        expect(tries.every(({ model: { provider } }) => provider.local)).toBe(true);
        expect(tries.length + skipped.length).toBe(models.length);
      },
    ),
  );
});

test("however long an outage was, a recovered model is probed within fifteen seconds", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.constantFrom("server_error", "network", "timeout"),
      (failures, errorClass) => {
        let health: Health | undefined;
        let now = 1_000_000;
        for (let i = 0; i < failures; i++) {
          health = afterFailure(health, { class: errorClass, message: "" }, now);
          now = Math.max(now + 1, (health?.openUntil ?? 0) + 1);
        }

        expect((health?.openUntil ?? 0) - now).toBeLessThanOrEqual(15_000);
        expect(stateOf(health, now + 15_000)).not.toBe("open");
      },
    ),
  );
});

test("a longer ban replaces a shorter one, and the shorter does not cut it", () => {
  const first = afterFailure(undefined, { class: "rate_limit", message: "", retryAfterMs: 3_000 }, 0);
  const second = afterFailure(first, { class: "rate_limit", message: "", retryAfterMs: 60_000 }, 100);

  expect(second?.openUntil).toBe(60_100);
});

test.each([
  [429, { error: { code: "rate_limit_exceeded" } }, "rate_limit"],
  [429, { error: { code: "insufficient_quota" } }, "quota"],
  [
    400,
    { type: "error", error: { type: "invalid_request_error", message: "Your credit balance is too low" } },
    "quota",
  ],
  [400, { error: { code: "context_length_exceeded" } }, "context_window"],
  [
    400,
    {
      type: "error",
      error: { type: "invalid_request_error", message: "prompt is too long: 210000 tokens > 200000 maximum" },
    },
    "context_window",
  ],
  [400, { error: { code: "content_filter" } }, "content_policy"],
  [400, { error: { message: "temperature must be a number" } }, "bad_request"],
  [401, { error: { message: "no" } }, "auth"],
  [403, "Forbidden", "auth"],
  [404, { error: { code: "model_not_found" } }, "not_found"],
  [402, {}, "quota"],
  [422, {}, "bad_request"],
  [529, { type: "error", error: { type: "overloaded_error" } }, "server_error"],
  [500, "<html>", "server_error"],
] as const)("%i %j is %s", (status, body, errorClass) => {
  expect(classify({ status, headers: {}, body }, 0).class).toBe(errorClass);
});

test.each([
  [{ "retry-after": "2" }, "", 2000],
  [{ "retry-after": "0.25" }, "", 250],
  [{ "retry-after": "Thu, 01 Jan 1970 00:00:09 GMT" }, "", 8000],
  [{ "retry-after-ms": "40" }, "", 40],
  [{ "retry-after": "300ms" }, "", 300],
  [{}, "Please try again in 1m2.5s.", 62_500],
  [{}, "Please try again in 350ms.", 350],
  [{ "retry-after": "soon" }, "", undefined],
  [{ "retry-after": "-5" }, "", undefined],
])("%j %s asks to wait %s ms", (headers, message, milliseconds) => {
  expect(retryAfter(headers, message, 1000)).toBe(milliseconds);
});

test("what looks like a key is cut out of a vendor's words", () => {
  expect(tidy("Incorrect API key provided: sk-proj-abc***xyz. See docs.")).not.toContain("abc");
  expect(tidy("Bearer abcdef123 refused")).not.toContain("abcdef123");
});
