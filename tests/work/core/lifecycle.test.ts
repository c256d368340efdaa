import { expect, test } from "vitest";
import { DECISIONS, decided, FINAL, needsApproval, possibleFrom, STATUSES } from "../../../lib/work/core/lifecycle.ts";

test("a decision is possible from just the states in which it means something", () => {
  const table = DECISIONS.map((decision) => [
    decision,
    STATUSES.filter((status) => possibleFrom[decision].includes(status)),
  ]);

  expect(Object.fromEntries(table)).toEqual({
    approve: ["pending"],
    reject: ["pending"],
    cancel: ["pending", "approved", "executing", "cancelling"],
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

test("a policy names a work type whole or by its beginning", () => {
  const policy = ["code.run", "infra.*"];

  expect(["code.run", "infra.check", "code.runner", "infra"].map((type) => needsApproval(type, policy))).toEqual([
    true,
    true,
    false,
    false,
  ]);
});
