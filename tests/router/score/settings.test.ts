import fc from "fast-check";
import { expect, test } from "vitest";
import { ConfigError } from "../../../lib/errors.ts";
import type { Ranking } from "../../../lib/router/score/decision.ts";
import { DecisionCache, diceOf, requestHash } from "../../../lib/router/score/decision-cache.ts";
import { RouterSettings } from "../../../lib/router/score/settings.ts";
import { readEnv } from "../../../lib/runtime/env.ts";

function read(environment: Record<string, string>) {
  return readEnv(RouterSettings, environment);
}

test("without variables the router has its documented defaults", () => {
  expect(read({})).toEqual({
    ROUTER_WEIGHTS: { trigger: 0.4, context: 0.3, capability: 0.2, historical: 0.1 },
    ROUTER_THRESHOLD: 0.4,
    ROUTER_EXPLORE: 0.1,
    ROUTER_MARGIN: 0.3,
    ROUTER_HALF_LIFE_DAYS: 14,
    ROUTER_CACHE_SECONDS: 60,
    ROUTER_SNAPSHOT_SECONDS: 5,
    AGENT_PRESENCE_SECONDS: 900,
  });
});

test.each([
  "0.4,0.3,0.2",
  "0.4,0.3,0.2,0.2",
  "1,0,0,0,0",
  "0.4,0.3,0.2,x",
  "1.4,-0.4,0,0",
  "0.4;0.3;0.2;0.1",
  ",,,1",
  "0x1,0,0,0",
])("weights %s refuse the start, naming the variable", (ROUTER_WEIGHTS) => {
  expect(() => read({ ROUTER_WEIGHTS })).toThrow(ConfigError);
  expect(() => read({ ROUTER_WEIGHTS })).toThrow(/ROUTER_WEIGHTS must be four numbers from 0 to 1 that add up to 1/);
});

test("weights of thousandths that add up to 1 are taken", () => {
  fc.assert(
    fc.property(fc.tuple(fc.nat(1000), fc.nat(1000), fc.nat(1000)), (cuts) => {
      const [a = 0, b = 0, c = 0] = cuts.toSorted((x, y) => x - y);
      const parts = [a, b - a, c - b, 1000 - c].map((part) => part / 1000);
      const { trigger, context, capability, historical } = read({ ROUTER_WEIGHTS: parts.join(", ") }).ROUTER_WEIGHTS;
      expect([trigger, context, capability, historical]).toEqual(parts);
    }),
  );
});

test.each([
  ["ROUTER_THRESHOLD", "1.1", "a number from 0 to 1"],
  ["ROUTER_EXPLORE", "0.6", "a number from 0 to 0.5"],
  ["ROUTER_HALF_LIFE_DAYS", "0", "a number from 0.01 to 3650"],
  ["ROUTER_CACHE_SECONDS", "soon", "a number from 0 to 86400"],
  ["ROUTER_CACHE_SECONDS", " 60 ", "a number from 0 to 86400"],
  ["ROUTER_FALLBACK_AGENT", "No One", "lower-case name"],
  ["ROUTER_FALLBACK_AGENT", "orchestrator", "must be an agent"],
])("%s=%s is refused by name", (name, value, words) => {
  expect(() => read({ [name]: value })).toThrow(name);
  expect(() => read({ [name]: value })).toThrow(words);
});

const request = { request_text: "run the tests", work_type: "code.test", hints: { b: 1, a: [2, { d: 3, c: 4 }] } };

test("the hash is the same whatever the order of keys, and another for other content", () => {
  const turned = { hints: { a: [2, { c: 4, d: 3 }], b: 1 }, work_type: "code.test", request_text: "run the tests" };
  const hash = requestHash(request);
  expect(hash).toHaveLength(32);
  expect(requestHash(turned)).toEqual(hash);
  expect(requestHash({ ...request, priority: 3 } as typeof request)).toEqual(hash);
  const others = [
    { ...request, request_text: "run the test" },
    { ...request, work_type: "code.run" },
    { ...request, exclude: ["a"] },
    { ...request, parent_agent: "a" },
    { ...request, capabilities: ["git"] },
    { ...request, hints: {} },
  ];
  expect(new Set(others.map((other) => requestHash(other).toString("hex"))).size).toBe(others.length);
  expect(others.map(requestHash)).not.toContainEqual(hash);
  expect(diceOf(hash)).toBeGreaterThanOrEqual(0);
  expect(diceOf(Buffer.alloc(32, 255))).toBeLessThan(1);
});

function ranking(candidates: number): Ranking {
  const one = {
    agent: "a",
    confidence: 1,
    parts: { trigger: 1, context: 1, capability: 1, historical: 1 },
    expected_quality: 1,
    observations: 0,
    names_work_type: false,
  };
  return { candidates: Array.from({ length: candidates }, () => one), known_at: 0 };
}

test("a ranking is kept with its age until it is too old or the registry has changed", () => {
  const cache = new DecisionCache(60);
  const hash = requestHash(request);
  const kept = ranking(2);
  expect(cache.get(hash, "1", 0)).toBeUndefined();
  cache.set(hash, "1", kept, 1_000);
  expect(cache.get(hash, "1", 31_500)).toEqual({ ranking: kept, ageSeconds: 30.5 });
  expect(cache.get(requestHash({ request_text: "other" }), "1", 1_000)).toBeUndefined();
  expect(cache.get(hash, "2", 31_500)).toBeUndefined();
  cache.set(hash, "2", kept, 0);
  expect(cache.get(hash, "2", 59_999)).toBeDefined();
  expect(cache.get(hash, "2", 60_000)).toBeUndefined();
});

test("a cache of 0 seconds keeps nothing, and a full one lets go of what was asked for longest ago", () => {
  const off = new DecisionCache(0);
  off.set(requestHash(request), "1", ranking(1), 0);
  expect(off.get(requestHash(request), "1", 0)).toBeUndefined();

  const cache = new DecisionCache(60);
  const hashes = Array.from({ length: 60 }, (_, number) => requestHash({ request_text: `request ${number}` }));
  for (const hash of hashes) cache.set(hash, "1", ranking(999), 0);
  const kept = hashes.filter((hash) => cache.get(hash, "1", 0) !== undefined);
  expect(kept).toEqual(hashes.slice(-50));
});
