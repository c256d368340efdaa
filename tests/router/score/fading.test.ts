import fc from "fast-check";
import { expect, test } from "vitest";
import { type Outcome, withOutcome } from "../../../bench/router/outcomes.ts";
import { fade, type Sums, withFeedback } from "../../../lib/router/score/fading.ts";
import { FEEDBACK_STEPS, HALF_LIFE_MS, OUTCOME_STEPS } from "../learn/fading-table.ts";

const Outcomes = fc.record({
  succeeded: fc.boolean(),
  quality: fc.double({ min: 0, max: 1, noNaN: true }),
  time_ms: fc.option(fc.integer({ min: 0, max: 1_000_000 })),
  completed_at: fc.integer({ min: 0, max: 100 * HALF_LIFE_MS }),
});

function sumsOf(outcomes: readonly Outcome[]): Sums | undefined {
  return outcomes.reduce<Sums | undefined>((sums, outcome) => withOutcome(sums, outcome, HALF_LIFE_MS), undefined);
}

/** To compare without the last digits of floating point. */
function rounded(sums: Sums | undefined): Sums | undefined {
  if (sums === undefined) return undefined;
  return Object.fromEntries(Object.entries(sums).map(([name, value]) => [name, Number(value.toFixed(5))])) as Sums;
}

test("the sums follow the table that the database's are held against too", () => {
  let sums: Sums | undefined;
  for (const { outcome, sums: expected } of OUTCOME_STEPS) {
    sums = withOutcome(sums, outcome, HALF_LIFE_MS);
    expect(rounded(sums)).toEqual(rounded(expected));
  }
});

test("feedback follows the table, and a second word takes back the first", () => {
  let sums: Sums = OUTCOME_STEPS[0].sums;
  for (const { earlier, score, completed_at, sums: expected } of FEEDBACK_STEPS) {
    sums = withFeedback(sums, earlier, score, completed_at, HALF_LIFE_MS);
    expect(rounded(sums)).toEqual(rounded(expected));
  }
});

test("it does not matter in which order outcomes are told", () => {
  fc.assert(
    fc.property(fc.array(Outcomes, { minLength: 1, maxLength: 8 }), (outcomes) => {
      const there = sumsOf(outcomes);
      const back = sumsOf(outcomes.toReversed());
      expect(rounded(back)).toEqual(rounded(there));
    }),
  );
});

test("rates stay between 0 and 1, whatever is told and taken back", () => {
  fc.assert(
    fc.property(
      fc.array(Outcomes, { minLength: 1, maxLength: 8 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (outcomes, word) => {
        const sums = sumsOf(outcomes) as Sums;
        const last = outcomes.at(-1) as Outcome;
        const after = withFeedback(sums, { quality: last.quality, weight: 1 }, word, last.completed_at, HALF_LIFE_MS);
        expect(sums.success_sum).toBeLessThanOrEqual(sums.weight + 1e-9);
        expect(after.quality_sum).toBeLessThanOrEqual(after.quality_weight + 1e-9);
        expect(Math.min(...Object.values(after))).toBeGreaterThanOrEqual(0);
        const again = withFeedback(after, { quality: word, weight: 3 }, 0.5, last.completed_at, HALF_LIFE_MS);
        const once = withFeedback(sums, { quality: last.quality, weight: 1 }, 0.5, last.completed_at, HALF_LIFE_MS);
        expect(rounded(again)).toEqual(rounded(once));
      },
    ),
  );
});

test("an outcome counts half after a half-life, and the future counts as now", () => {
  expect(fade(HALF_LIFE_MS, HALF_LIFE_MS)).toBe(0.5);
  expect(fade(0, HALF_LIFE_MS)).toBe(1);
  expect(fade(-5, HALF_LIFE_MS)).toBe(1);
});
