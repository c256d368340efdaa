import type { Outcome } from "../../../bench/router/outcomes.ts";
import type { Sums } from "../../../lib/router/score/fading.ts";

/** What the sums must be, step by step, worked out by hand: for the SQL that adds outcomes and for what a simulation has in its place. */
export const HALF_LIFE_MS = 14 * 86_400_000;
const START = 1_800_000_000_000;

/** Each outcome comes on top of those before it. The third is told late: it ended a half-life before the second. */
export const OUTCOME_STEPS = [
  {
    outcome: { succeeded: true, quality: 1, time_ms: 4_000, completed_at: START },
    sums: {
      weight: 1,
      success_sum: 1,
      quality_weight: 1,
      quality_sum: 1,
      time_weight: 1,
      time_ms_sum: 4_000,
      observed_at: START,
    },
  },
  {
    outcome: { succeeded: false, quality: 0, time_ms: null, completed_at: START + HALF_LIFE_MS },
    sums: {
      weight: 1.5,
      success_sum: 0.5,
      quality_weight: 1.5,
      quality_sum: 0.5,
      time_weight: 0.5,
      time_ms_sum: 2_000,
      observed_at: START + HALF_LIFE_MS,
    },
  },
  {
    outcome: { succeeded: true, quality: 0.8, time_ms: 1_000, completed_at: START },
    sums: {
      weight: 2,
      success_sum: 1,
      quality_weight: 2,
      quality_sum: 0.9,
      time_weight: 1,
      time_ms_sum: 2_500,
      observed_at: START + HALF_LIFE_MS,
    },
  },
] as const satisfies { outcome: Outcome; sums: Sums }[];

const FIRST = OUTCOME_STEPS[0].sums;

/** A person's words on the first outcome, on top of its sums: 0.2, and then 0.6 instead. */
export const FEEDBACK_STEPS: {
  earlier: { quality: number; weight: number };
  score: number;
  completed_at: number;
  sums: Sums;
}[] = [
  {
    earlier: { quality: 1, weight: 1 },
    score: 0.2,
    completed_at: START,
    sums: { ...FIRST, quality_weight: 3, quality_sum: 0.6 },
  },
  {
    earlier: { quality: 0.2, weight: 3 },
    score: 0.6,
    completed_at: START,
    sums: { ...FIRST, quality_weight: 3, quality_sum: 1.8 },
  },
];
