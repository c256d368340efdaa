import type { SQSRecord } from "aws-lambda";
import { ConfigError, Misconfigured, Unavailable } from "../errors.ts";
import { INVALID_MESSAGE } from "../protocol/error-codes.ts";
import type { Message } from "../protocol/messages.ts";
import { isDataRefused, isNotTheData } from "../runtime/postgres/db-errors.ts";
import { Unproven } from "../work/results/proof.ts";
import type { Letter } from "./dead-letters.ts";

/** How often a message may fail by what is neither its own fault nor the database's. */
const MOST_FAILURES = 5;

/**
 * The dead letter that a message becomes which failed with `error`: where the database refuses its data, or where it has failed too
 * often by a fault of ours, or where it is not believed. Undefined where it is to come again: while the database is away it does so for as long as the queue keeps it.
 */
export function letterFor(record: SQSRecord, message: Message, error: unknown): Letter | undefined {
  const { from_agent, trace_id, request_id, message_id, type } = message;
  const { task_id } = message.payload;
  const remains = { from_agent, trace_id, request_id, message_id, ...(task_id === undefined ? {} : { task_id }) };
  const said = (error as { message?: unknown } | undefined)?.message ?? error;
  const refusal = { error_code: INVALID_MESSAGE, remains, isError: type === "error" } as const;
  if (error instanceof Unproven) return { record, kind: "forged", refusal: { ...refusal, reason: error.message } };
  if (isDataRefused(error)) {
    return { record, kind: "unstorable", refusal: { ...refusal, reason: `the database refuses it: ${String(said)}` } };
  }
  const times = Number(record.attributes.ApproximateReceiveCount);
  if (isAway(error) || !(times >= MOST_FAILURES)) return undefined;
  return { record, kind: "failed", refusal: { ...refusal, reason: `failed ${times} times, at last: ${String(said)}` } };
}

function isAway(error: unknown): boolean {
  return (
    isNotTheData(error) ||
    error instanceof Unavailable ||
    error instanceof Misconfigured ||
    error instanceof ConfigError
  );
}

const SHORTEST_SECONDS = 2;
const LONGEST_SECONDS = 600;

/**
 * The pause, in seconds, before a message that failed comes again: a tenth of its age, two seconds at least and ten minutes at most. So
 * it comes soon where an outage was short, at the latest a tenth later than it ended, and fewer than 1,000 times, the most
 * that SQS counts (maxReceiveCount), in the four days for which a queue keeps it.
 */
export function pauseSeconds(record: SQSRecord, now: Date): number {
  const age = (now.getTime() - Number(record.attributes.SentTimestamp)) / 1000;
  return Math.round(Math.min(LONGEST_SECONDS, Math.max(SHORTEST_SECONDS, age / 10 || 0)));
}
