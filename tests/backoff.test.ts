import * as fc from "fast-check";
import { expect, test } from "vitest";
import { backoff } from "../lib/backoff.ts";

test("waits double from the first to the most, and jitter only takes away", () => {
  const full = [0, 1, 2, 3, 10].map((failures) => backoff(failures, { first: 250, most: 10_000 }, 0.5, 0));
  expect(full).toEqual([250, 500, 1_000, 2_000, 10_000]);

  fc.assert(
    fc.property(fc.nat(40), fc.double({ min: 0, max: 0.999, noNaN: true }), (failures, dice) => {
      const most = backoff(failures, { first: 2, most: 300 }, 0.5, 0);
      const one = backoff(failures, { first: 2, most: 300 }, 0.5, dice);
      expect(one).toBeLessThanOrEqual(most);
      expect(one).toBeGreaterThan(most / 2);
    }),
  );
});
