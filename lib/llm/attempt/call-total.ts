import type { AttemptRecord } from "../accounts/account.ts";
import type { Failure } from "../config/failure.ts";
import { decimal } from "../config/prices.ts";
import type { Model } from "../config/schema.ts";
import type { CallEnd, Tried } from "./call.ts";

/** What a call has come to so far. */
export type CallTotal = {
  tried: Tried[];
  /** How many attempts were started. */
  attempts: number;
  /** Spent on vendors, and on waiting before the next try, in milliseconds. */
  upstreamMs: number;
  waitedMs: number;
  /** One for each attempt that has ended, in that order. */
  records: AttemptRecord[];
};

/** The total of a call for which nobody was asked. */
export const newTotal = (): CallTotal => ({ tried: [], attempts: 0, upstreamMs: 0, waitedMs: 0, records: [] });

/** An attempt that failed, for the list that the caller is told. */
export function addFailed({ tried }: CallTotal, model: Model, { class: errorClass, status, message }: Failure): void {
  tried.push({ model: model.name, class: errorClass, status, message });
}

/** How the call ended: failed, where `more` does not say otherwise. */
export function endOf({ tried, attempts, upstreamMs, waitedMs, records }: CallTotal, more: Partial<CallEnd>): CallEnd {
  return { ok: false, tried, attempts, upstreamMs: upstreamMs + waitedMs, costUsd: sumOf(records), ...more };
}

/** Unknown as soon as one part of it is. */
function sumOf(records: AttemptRecord[]): string | null {
  let sum = 0;
  for (const { costUsd } of records) {
    if (costUsd === null) return null;
    sum += Number(costUsd);
  }
  return decimal(sum);
}
