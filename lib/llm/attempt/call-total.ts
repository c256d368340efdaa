import type { Failure } from "../config/failure.ts";
import type { Model } from "../config/schema.ts";
import type { Result, Tried } from "./call.ts";

/** What a call has come to so far. */
export type Tally = {
  tried: Tried[];
  attempts: number;
  /** Spent on vendors, and on waiting before the next try, in milliseconds. */
  upstreamMs: number;
  waitedMs: number;
  costs: (string | null)[];
};

export const newTally = (): Tally => ({ tried: [], attempts: 0, upstreamMs: 0, waitedMs: 0, costs: [] });

/** An attempt that failed, for the list that the caller is told. */
export function addFailed({ tried }: Tally, model: Model, { class: errorClass, status, message }: Failure): void {
  tried.push({ model: model.name, class: errorClass, status, message });
}

/** How the call ended: failed, where `more` does not say otherwise. */
export function resultOf({ tried, attempts, upstreamMs, waitedMs, costs }: Tally, more: Partial<Result>): Result {
  const sums = { upstreamMs: upstreamMs + waitedMs, costUsd: sumOf(costs) };
  return { ok: false, committed: false, tried, attempts, ...sums, ...more };
}

/** Unknown as soon as one part of it is. */
function sumOf(costs: (string | null)[]): string | null {
  let sum = 0;
  for (const cost of costs) {
    if (cost === null) return null;
    sum += Number(cost);
  }
  return sum.toFixed(10).replace(/\.?0+$/, "") || "0";
}
