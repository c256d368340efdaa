import { fade, type Sums } from "../../lib/router/score/fading.ts";

// What the database does with outcomes (lib/router/learn/learn.ts), for a simulation without one. tests/router/learn holds the
// database to it.

/** How a piece of work ended. `time_ms` null: it never ran; `completed_at` in epoch milliseconds. */
export type Outcome = { succeeded: boolean; quality: number; time_ms: number | null; completed_at: number };

/** The quality where no person has spoken: 1 for work done at the first attempt, 0.2 less for each further one that counted, at least 0.5; 0 for failed. */
export function automaticQuality(succeeded: boolean, attemptsUsed: number): number {
  return succeeded ? Math.max(0.5, 1 - 0.2 * Math.max(0, attemptsUsed - 1)) : 0;
}

/** The sums after one more outcome; it counts what it would count had it been told in time, so the order does not matter. */
export function withOutcome(before: Sums | undefined, outcome: Outcome, halfLifeMs: number): Sums {
  const sums = before ?? { ...NOTHING, observed_at: outcome.completed_at };
  const at = Math.max(sums.observed_at, outcome.completed_at);
  const old = fade(at - sums.observed_at, halfLifeMs);
  const fresh = fade(at - outcome.completed_at, halfLifeMs);
  const timed = outcome.time_ms === null ? 0 : 1;
  return {
    weight: sums.weight * old + fresh,
    success_sum: sums.success_sum * old + (outcome.succeeded ? fresh : 0),
    quality_weight: sums.quality_weight * old + fresh,
    quality_sum: sums.quality_sum * old + outcome.quality * fresh,
    time_weight: sums.time_weight * old + timed * fresh,
    time_ms_sum: sums.time_ms_sum * old + (outcome.time_ms ?? 0) * fresh,
    observed_at: at,
  };
}

const NOTHING = { weight: 0, success_sum: 0, quality_weight: 0, quality_sum: 0, time_weight: 0, time_ms_sum: 0 };
