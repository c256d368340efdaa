import fc from "fast-check";
import { expect, test } from "vitest";
import {
  BACKOFF,
  backoffSeconds,
  DECISIONS,
  decided,
  type Ending,
  ended,
  FINAL,
  needsApproval,
  possibleFrom,
  STATUSES,
} from "../../../lib/work/core/lifecycle.ts";

test("a decision is possible from just the states in which it means something", () => {
  const table = DECISIONS.map((decision) => [
    decision,
    STATUSES.filter((status) => possibleFrom[decision].includes(status)),
  ]);

  expect(Object.fromEntries(table)).toEqual({
    approve: ["pending"],
    reject: ["pending"],
    cancel: ["pending", "approved", "executing"],
    retry: ["failed", "cancelled"],
  });
});

test("only a retry leads out of a final state, and never to work that nobody approved", () => {
  for (const status of FINAL) {
    const ways = DECISIONS.filter((decision) => possibleFrom[decision].includes(status));
    expect(ways.every((decision) => decision === "retry")).toBe(true);
  }
  expect(decided("retry", false)).toBe("pending");
  expect(decided("retry", true)).toBe("approved");
});

test("an attempt that nobody answered for is tried again while attempts are left, an answer is final", () => {
  const outcomes = (left: number) =>
    (["completed", "failed", "failed_retryable", "handed_back", "handed_over", "lease_expired"] satisfies Ending[]).map(
      (ending) => ended(ending, left),
    );

  expect(outcomes(1)).toEqual(["completed", "failed", "approved", "approved", "approved", "approved"]);
  expect(outcomes(0)).toEqual(["completed", "failed", "failed", "approved", "approved", "failed"]);
});

test("backoff doubles from its base to its maximum and loses at most half of it to jitter", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (used, random) => {
        const full = Math.min(BACKOFF.maxSeconds, BACKOFF.baseSeconds * 2 ** (used - 1));
        const seconds = backoffSeconds(used, random);
        expect(seconds).toBeLessThanOrEqual(full);
        expect(seconds).toBeGreaterThan(full / 2 - 1e-9);
      },
    ),
  );
  expect([1, 2, 3, 9].map((used) => backoffSeconds(used, 0))).toEqual([2, 4, 8, 300]);
});

test("a policy names a work type whole or by its beginning", () => {
  const policy = ["code.run", "infra.*"];

  expect(["code.run", "infra.check", "code.runner", "infra"].map((type) => needsApproval(type, policy))).toEqual([
    true,
    true,
    false,
    false,
  ]);
});
