import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from "aws-lambda";
import { printable } from "../input/json.ts";
import { type Message, ORCHESTRATOR, parseMessage } from "../protocol/messages.ts";
import { answerTo, type Refusal, refusalOf } from "../protocol/refusal.ts";
import type { Outgoing } from "../runtime/aws/sqs.ts";
import { withConnections } from "../runtime/postgres/pool.ts";
import type { ControlPlane } from "./control-plane.ts";
import type { Edges } from "./edges.ts";

/** A message that follows the protocol, with the id by which the batch names it. */
export type Received = { recordId: string; message: Message };

/** Takes the valid messages of a batch and answers the record ids to deliver again. Throwing delivers the whole batch again. */
export type Batch = (received: Received[]) => Promise<Iterable<string>>;

type Sending = Pick<ControlPlane, "settings" | "stamp" | "edges" | "log">;
type Refused = { record: SQSRecord; refusal: Refusal };

/**
 * Makes a Lambda handler of a queue: parses every message, hands the valid ones to `run` at once, and reports the failures
 * one by one (ReportBatchItemFailures). A message that does not parse is answered with error 5003 where its sender is
 * known and goes to the dead letter queue with its evidence; only then does it leave the queue. `run` is run again when
 * the database connection is lost in the middle: every message may come twice anyway.
 */
export function queue(plane: Sending, run: Batch): (event: SQSEvent, context?: Context) => Promise<SQSBatchResponse> {
  return async (event) => {
    const started = performance.now();
    const valid: Received[] = [];
    const refused: Refused[] = [];
    for (const record of event.Records) {
      const parsed = parseMessage(record.body);
      if (parsed.ok) valid.push({ recordId: record.messageId, message: parsed.message });
      else refused.push({ record, refusal: refusalOf(parsed, record.body) });
    }
    const failed = new Set(await keptBack(plane, refused));
    for (const id of await runAll(plane, valid, run)) failed.add(id);
    const duration_ms = Math.round(performance.now() - started);
    plane.log.info("batch handled", { received: event.Records.length, failed: failed.size, duration_ms });
    return { batchItemFailures: [...failed].map((itemIdentifier) => ({ itemIdentifier })) };
  };
}

async function runAll({ log }: Sending, valid: Received[], run: Batch): Promise<Iterable<string>> {
  if (valid.length === 0) return [];
  try {
    return await withConnections(true, () => run(valid));
  } catch (error) {
    log.error("batch failed", { error, traces: [...new Set(valid.map(({ message }) => message.trace_id))] });
    return valid.map(({ recordId }) => recordId);
  }
}

/**
 * Answers the senders, then buries the messages, and answers the ids of those that could not be: they stay on the queue.
 * In this order, because an answer twice is harmless and a dead letter twice is two alarms.
 */
async function keptBack(plane: Sending, refused: Refused[]): Promise<string[]> {
  if (refused.length === 0) return [];
  const { edges } = plane;
  for (const { record, refusal } of refused) {
    const { remains, error_code, reason } = refusal;
    plane.log.warn("message refused", { ...remains, sqs_message_id: record.messageId, error_code, reason });
  }
  const answers = refused.flatMap((one) => answerFor(plane, one));
  const answered = await edges.queues.send(answers);
  const unanswered = new Set(answers.map(({ id }) => id));
  for (const id of answered.sent) unanswered.delete(id);
  const letters: Outgoing[] = [];
  let error = answered.error;
  for (const one of refused.filter(({ record }) => !unanswered.has(record.messageId))) {
    try {
      letters.push(letterOf(one, await deadLetterQueueOf(edges, one.record.eventSourceARN)));
    } catch (caught) {
      error = caught;
    }
  }
  const buried = await edges.queues.send(letters);
  error ??= buried.error;
  if (error !== undefined) plane.log.error("dead letter not sent", { error });
  const gone = new Set(buried.sent);
  return refused.map(({ record }) => record.messageId).filter((id) => !gone.has(id));
}

function letterOf({ record, refusal }: Refused, queueUrl: string): Outgoing {
  const { messageId, eventSourceARN, body } = record;
  const attributes = {
    error_code: String(refusal.error_code),
    reason: printable(refusal.reason, 1_000),
    source_arn: eventSourceARN,
    message_id: messageId,
  };
  return { id: messageId, queueUrl, body, attributes };
}

function answerFor({ settings, stamp }: Sending, { record, refusal }: Refused): Outgoing[] {
  const { from_agent } = refusal.remains;
  const queueUrl = from_agent === undefined ? undefined : settings.queues.agents[from_agent];
  if (queueUrl === undefined) return [];
  const answering = { from: ORCHESTRATOR, deliveryId: record.messageId, newId: stamp.newId, now: stamp.now() };
  const body = answerTo(refusal, answering);
  return body === undefined ? [] : [{ id: record.messageId, queueUrl, body }];
}

const ASK_MS = 5_000;

/** Where a queue's poison goes. Throws where its redrive policy names no queue. */
async function deadLetterQueueOf({ queues }: Edges, queueArn: string): Promise<string> {
  const url = await queues.deadLetterUrl(queueArn, ASK_MS);
  if (url === undefined) throw new Error(`${queueArn} has no dead letter queue. Set its RedrivePolicy.`);
  return url;
}
