import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from "aws-lambda";
import { type Message, parseMessage, type Raw } from "../protocol/messages.ts";
import { refusalOf } from "../protocol/refusal.ts";
import { withConnections } from "../runtime/postgres/pool.ts";
import { within } from "../time.ts";
import { bury, type Letter, type Sending } from "./dead-letters.ts";
import { letterFor, pauseSeconds } from "./failures.ts";

/** A message that follows the protocol, with the id by which the batch names it. */
export type Received = { recordId: string; message: Message; raw: Raw };
/** A message that was not taken in, and why. */
export type Failure = { recordId: string; error: unknown };

/** Takes the valid messages of a batch and answers those that it could not. Throwing fails them all. */
export type Batch = (received: Received[]) => Promise<Iterable<Failure>>;

/** What is kept of a function's time for what comes after the batch: a function that ends before it answers has failed them all. */
const ENDING_MS = 7_000;
/** What of that is kept for what comes after burying: to put back what failed, and to answer. */
const ANSWERING_MS = 3_000;
/** How long SQS may take to put messages back. */
const HOLD_MS = 2_000;
/** How long a batch has where no context says so, as outside of Lambda. */
const BATCH_MS = 30_000;

/**
 * Makes a Lambda handler of a queue: parses every message, hands the valid ones to `run` at once, and reports the failures
 * one by one (ReportBatchItemFailures). What can never be taken in (it does not parse, the database refuses its data, or it failed
 * five times by a fault of ours) goes to the dead letter queue with its reason, its sender answered with error 5003 where
 * that is known; only then does it leave the queue. What failed because the database is away or busy stays on the queue, however often, and
 * comes again after a pause that grows with its age. `run` is run again when
 * the database connection is lost in the middle: every message may come twice anyway.
 */
export function queue(plane: Sending, run: Batch): (event: SQSEvent, context?: Context) => Promise<SQSBatchResponse> {
  return async (event, context) => {
    const started = performance.now();
    const remaining = () => context?.getRemainingTimeInMillis() ?? BATCH_MS;
    const valid = new Map<string, Received & { record: SQSRecord }>();
    const letters: Letter[] = [];
    for (const record of event.Records) {
      const parsed = parseMessage(record.body);
      const recordId = record.messageId;
      if (parsed.ok) valid.set(recordId, { recordId, message: parsed.message, raw: parsed.raw, record });
      else letters.push({ record, kind: "invalid", refusal: refusalOf(parsed, record.body) });
    }
    const again = new Set<string>();
    for (const { recordId, error } of await runAll(plane, [...valid.values()], run, remaining() - ENDING_MS)) {
      again.add(recordId);
      const one = valid.get(recordId);
      const letter = one === undefined ? undefined : letterFor(one.record, one.message, error);
      if (letter !== undefined) letters.push(letter);
    }
    for (const { record } of letters) again.add(record.messageId);
    for (const id of await buryWithin(remaining() - ANSWERING_MS, plane, letters)) again.delete(id);
    await putBack(
      plane,
      event.Records.filter(({ messageId }) => again.has(messageId)),
    );
    const duration_ms = Math.round(performance.now() - started);
    plane.log.info("batch handled", { received: event.Records.length, failed: again.size, duration_ms });
    return { batchItemFailures: [...again].map((itemIdentifier) => ({ itemIdentifier })) };
  };
}

async function runAll({ log }: Sending, valid: Received[], run: Batch, ms: number): Promise<Iterable<Failure>> {
  if (valid.length === 0) return [];
  try {
    return await withConnections(true, () => run(valid), ms);
  } catch (error) {
    log.error("batch failed", { error, traces: [...new Set(valid.map(({ message }) => message.trace_id))] });
    return valid.map(({ recordId }) => ({ recordId, error }));
  }
}

/** What is not buried by then stays on the queue, though its dead letter may be there: rather twice than that the others come again too. */
async function buryWithin(ms: number, plane: Sending, letters: Letter[]): Promise<string[]> {
  return await within(ms, bury(plane, letters), () => {
    const records = letters.map(({ record }) => record.messageId);
    plane.log.error("dead letters not sent in time", { sqs_message_ids: records });
    return [];
  });
}

/** Has messages that failed come again after their pause, and not after the whole visibility timeout. */
async function putBack({ edges, stamp, log }: Sending, records: SQSRecord[]): Promise<void> {
  const [first] = records;
  if (first === undefined) return;
  const now = stamp.now();
  const held = records.map((record) => ({
    receiptHandle: record.receiptHandle,
    seconds: pauseSeconds(record, now),
  }));
  try {
    await within(HOLD_MS, edges.queues.hold(first.eventSourceARN, held, HOLD_MS), () => {
      throw new Error(`SQS did not answer within ${HOLD_MS} ms.`);
    });
  } catch (error) {
    log.warn("messages come again only after their visibility timeout", { of: records.length, error });
  }
}
