// Own, for want of a library that keeps sums under exponential decay with values dated back: the whole is one power of a half. The same
// formula is in SQL where outcomes are added set by set (../learn/learn.ts); tests hold both to one worked-out table.

/**
 * What is known of an agent's work of one type: sums that fade, each outcome counting half after a half-life. The sums hold for the
 * instant observed_at; read at `now` they are multiplied by fade(now - observed_at). `weight` counts outcomes, as faded as they are.
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
/** The sums alone, whoever's they are. */
export type Sums = Omit<Performance, "agent" | "work_type">;

/** A person's word counts as much as so many outcomes. */
export const FEEDBACK_WEIGHT = 3;

/** What is left of 1 after so long, 0 to 1: 0.5 ^ (elapsed / half-life). The future counts as now: clocks differ. */
export function fade(elapsedMs: number, halfLifeMs: number): number {
  return elapsedMs <= 0 ? 1 : 0.5 ** (elapsedMs / halfLifeMs);
}

/**
 * The sums after a person's word on work that ended at completed_at and so far counts `earlier` (the automatic quality with weight 1,
 * or the word before with weight 3). It is dated to the end of the work, as the outcome was, so the earlier one is taken back exactly:
 *   quality_weight = quality_weight * old + (3 - earlier.weight) * fresh
 *   quality_sum    = quality_sum    * old + (3 * score - earlier.weight * earlier.quality) * fresh
 * where old fades the sums to, and fresh the outcome from, the later of observed_at and completed_at; success and time only fade. Never
 * below 0, where rounding would lead.
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

function factors(before: Sums, completedAt: number, halfLifeMs: number) {
  const at = Math.max(before.observed_at, completedAt);
  return { old: fade(at - before.observed_at, halfLifeMs), fresh: fade(at - completedAt, halfLifeMs), at };
}
