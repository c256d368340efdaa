import { expect, test } from "vitest";
import type { Ranking } from "../../../lib/router/score/decision.ts";
import { RankingCache } from "../../../lib/router/snapshot/ranking-cache.ts";
import { diceOf, requestHash } from "../../../lib/router/snapshot/request-hash.ts";

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
  const cache = new RankingCache(60);
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
  const off = new RankingCache(0);
  off.set(requestHash(request), "1", ranking(1), 0);
  expect(off.get(requestHash(request), "1", 0)).toBeUndefined();

  const cache = new RankingCache(60);
  const hashes = Array.from({ length: 60 }, (_, number) => requestHash({ request_text: `request ${number}` }));
  for (const hash of hashes) cache.set(hash, "1", ranking(999), 0);
  const kept = hashes.filter((hash) => cache.get(hash, "1", 0) !== undefined);
  expect(kept).toEqual(hashes.slice(-50));
});
