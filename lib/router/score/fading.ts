/**
 * What is known of an agent's work of one type: sums that fade, each outcome counting half after a half-life. The sums hold for the
 * instant observed_at; read at `now` they are multiplied by fade(now - observed_at).
 */
export type Performance = {
  agent: string;
  work_type: string;
  weight: number;
  success_sum: number;
  quality_weight: number;
  quality_sum: number;
  time_weight: number;
  time_ms_sum: number;
  /** Epoch milliseconds. */
  observed_at: number;
};
export type Sums = Omit<Performance, "agent" | "work_type">;

/** How a piece of work ended. `time_ms` null: it never ran. */
export type Outcome = { succeeded: boolean; quality: number; time_ms: number | null; completed_at: number };

/** A person's word counts as much as so many outcomes. */
export const FEEDBACK_WEIGHT = 3;

/** 0.5 ^ (elapsed / half-life). The future counts as now: clocks differ. */
export function fade(elapsedMs: number, halfLifeMs: number): number {
  return elapsedMs <= 0 ? 1 : 0.5 ** (elapsedMs / halfLifeMs);
}

/** The quality where no person has spoken: 1 for work done at the first attempt, 0.2 less for each further one that counted, at least 0.5; 0 for failed. */
export function automaticQuality(succeeded: boolean, attemptsUsed: number): number {
  return succeeded ? Math.max(0.5, 1 - 0.2 * Math.max(0, attemptsUsed - 1)) : 0;
}

/** How far the confidence was off, -1 to 1: above 0 the work went better than thought. */
export function predictionError(quality: number, confidence: number): number {
  return quality - confidence;
}

/**
 * The sums after one more outcome. With t = max(observed_at, completed_at), every sum becomes
 *   sum * 0.5^((t - observed_at) / h) + value * 0.5^((t - completed_at) / h)
 * and observed_at becomes t. So an outcome told late counts what it would count, had it been told in time: the order does not matter.
 */
export function withOutcome(before: Sums | undefined, outcome: Outcome, halfLifeMs: number): Sums {
  const { old, fresh, at } = factors(before, outcome.completed_at, halfLifeMs);
  const sums = before ?? NOTHING;
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

/**
 * The sums after a person's word on work that ended at completed_at and so far counts `earlier` (the automatic quality with weight 1,
 * or the word before with weight 3). It is dated to the end of the work, as the outcome was, so the earlier one is taken back exactly:
 *   quality_weight = quality_weight * old + (3 - earlier.weight) * fresh
 *   quality_sum    = quality_sum    * old + (3 * score - earlier.weight * earlier.quality) * fresh
 * with old and fresh as for an outcome; success and time stay. Never below 0, where rounding would lead.
 */
export function withFeedback(
  before: Sums,
  earlier: { quality: number; weight: number },
  score: number,
  completedAt: number,
  halfLifeMs: number,
): Sums {
  const { old, fresh, at } = factors(before, completedAt, halfLifeMs);
  return {
    weight: before.weight * old,
    success_sum: before.success_sum * old,
    quality_weight: Math.max(0, before.quality_weight * old + (FEEDBACK_WEIGHT - earlier.weight) * fresh),
    quality_sum: Math.max(
      0,
      before.quality_sum * old + (FEEDBACK_WEIGHT * score - earlier.weight * earlier.quality) * fresh,
    ),
    time_weight: before.time_weight * old,
    time_ms_sum: before.time_ms_sum * old,
    observed_at: at,
  };
}

const NOTHING: Sums = {
  weight: 0,
  success_sum: 0,
  quality_weight: 0,
  quality_sum: 0,
  time_weight: 0,
  time_ms_sum: 0,
  observed_at: 0,
};

function factors(before: Sums | undefined, completedAt: number, halfLifeMs: number) {
  const observedAt = before?.observed_at ?? completedAt;
  const at = Math.max(observedAt, completedAt);
  return { old: fade(at - observedAt, halfLifeMs), fresh: fade(at - completedAt, halfLifeMs), at };
}
