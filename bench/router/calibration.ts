export type Bucket = { from: number; count: number; predicted: number; actual: number };

/** Predictions of 0 to 1 in buckets of a tenth, and the expected calibration error: the mean distance of bucket means, by their counts. */
export function calibrate(pairs: readonly { predicted: number; actual: number }[]): {
  buckets: Bucket[];
  error: number;
} {
  const buckets = Array.from({ length: 10 }, (_, tenth) => {
    const inside = pairs.filter(({ predicted }) => Math.min(9, Math.floor(predicted * 10)) === tenth);
    return {
      from: tenth / 10,
      count: inside.length,
      predicted: mean(inside.map(({ predicted }) => predicted)),
      actual: mean(inside.map(({ actual }) => actual)),
    };
  }).filter(({ count }) => count > 0);
  const off = buckets.reduce((sum, { count, predicted, actual }) => sum + count * Math.abs(predicted - actual), 0);
  return { buckets, error: off / pairs.length };
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
