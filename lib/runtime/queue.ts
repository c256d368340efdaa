import { GetQueueAttributesCommand, GetQueueUrlCommand } from "@aws-sdk/client-sqs";
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from "aws-lambda";
import { type Message, ORCHESTRATOR, type Parsed, parseMessage, serialiseMessage } from "../protocol/messages.ts";
import { uuidv7 } from "./ids.ts";
import { log } from "./log.ts";
import { type Outgoing, type Queues, sendAll, sqs } from "./sqs.ts";

/** A message that follows the protocol, with the id by which the batch names it. */
export type Received = { recordId: string; message: Message };

/** Takes the valid messages of a batch and answers the record ids to deliver again. Throwing delivers the whole batch again. */
export type Batch = (received: Received[]) => Promise<Iterable<string>>;

type Invalid = Extract<Parsed, { ok: false }>;

/**
 * Makes a Lambda handler of a queue: parses every message, hands the valid ones to `run` at once, and reports the failures
 * one by one (ReportBatchItemFailures). A message that does not parse is answered with error 5003 where its sender is
 * known and goes to the dead letter queue with its evidence; only then does it leave the queue.
 */
export function queue(queues: Queues, run: Batch): (event: SQSEvent, context?: Context) => Promise<SQSBatchResponse> {
  return async (event) => {
    const started = performance.now();
    const valid: Received[] = [];
    const failed = new Set<string>();
    const burials: Promise<void>[] = [];
    const keep = (record: SQSRecord, error: unknown) => {
      log.error("dead letter not sent", { message_id: record.messageId, error });
      failed.add(record.messageId);
    };
    for (const record of event.Records) {
      const parsed = parseMessage(record.body);
      if (parsed.ok) valid.push({ recordId: record.messageId, message: parsed.message });
      else burials.push(bury(queues, record, parsed).catch((error: unknown) => keep(record, error)));
    }
    await Promise.all(burials);
    if (valid.length > 0) {
      try {
        for (const id of await run(valid)) failed.add(id);
      } catch (error) {
        log.error("batch failed", { error, traces: valid.map(({ message }) => message.trace_id) });
        for (const { recordId } of valid) failed.add(recordId);
      }
    }
    const duration_ms = Math.round(performance.now() - started);
    log.info("batch handled", { received: event.Records.length, failed: failed.size, duration_ms });
    return { batchItemFailures: [...failed].map((itemIdentifier) => ({ itemIdentifier })) };
  };
}

async function bury(queues: Queues, record: SQSRecord, parsed: Invalid): Promise<void> {
  const { remains, error_code, faults } = parsed;
  const reason = faults.map(({ field, message }) => (field ? `${field} ${message}` : message)).join("; ");
  log.warn("message refused", { ...remains, sqs_message_id: record.messageId, error_code, reason });
  const letter: Outgoing = {
    id: record.messageId,
    queueUrl: await deadLetterQueueOf(record.eventSourceARN),
    body: record.body,
    attributes: {
      error_code: String(error_code),
      reason: reason
        .slice(0, 1000)
        .toWellFormed()
        .replaceAll(/[^\t\n\r\u0020-\uFFFD]/g, "?"),
      source_arn: record.eventSourceARN,
      message_id: record.messageId,
    },
  };
  const answer = answerTo(queues, record, parsed, reason);
  const outgoing = answer === undefined ? [letter] : [letter, answer];
  const { sent, error } = await sendAll(outgoing);
  if (sent.length < outgoing.length) throw error;
}

function answerTo(queues: Queues, record: SQSRecord, parsed: Invalid, reason: string): Outgoing | undefined {
  const { from_agent, trace_id, request_id, message_id, task_id } = parsed.remains;
  const queueUrl = from_agent === undefined ? undefined : queues.agents[from_agent];
  if (from_agent === undefined || queueUrl === undefined) return undefined;
  const body = serialiseMessage({
    protocol_version: "1.0",
    message_id: uuidv7(),
    from_agent: ORCHESTRATOR,
    to_agent: from_agent,
    timestamp: new Date().toISOString(),
    trace_id: trace_id ?? uuidv7(),
    request_id: request_id ?? uuidv7(),
    type: "error",
    payload: {
      error_code: parsed.error_code,
      error_message: reason.slice(0, 10_000).toWellFormed().replaceAll("\u0000", "\\u0000"),
      failed_message_id: message_id ?? record.messageId,
      ...(task_id === undefined ? {} : { task_id }),
    },
  });
  return { id: `${record.messageId}-answer`, queueUrl, body };
}

const deadLetterQueues = new Map<string, Promise<string>>();

/** The dead letter queue that a queue's own redrive policy names, asked for once. */
async function deadLetterQueueOf(queueArn: string): Promise<string> {
  const kept = deadLetterQueues.get(queueArn);
  if (kept !== undefined) return await kept;
  const asked = askDeadLetterQueue(queueArn);
  deadLetterQueues.set(queueArn, asked);
  asked.catch(() => deadLetterQueues.delete(queueArn));
  return await asked;
}

async function askDeadLetterQueue(queueArn: string): Promise<string> {
  const QueueUrl = await urlOf(queueArn);
  const answer = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["RedrivePolicy"] }));
  const policy = JSON.parse(answer.Attributes?.["RedrivePolicy"] ?? "{}") as { deadLetterTargetArn?: string };
  if (policy.deadLetterTargetArn === undefined)
    throw new Error(`${queueArn} has no dead letter queue. Set its RedrivePolicy.`);
  return await urlOf(policy.deadLetterTargetArn);
}

async function urlOf(arn: string): Promise<string> {
  const [, , , , QueueOwnerAWSAccountId, QueueName] = arn.split(":");
  const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName, QueueOwnerAWSAccountId }));
  if (QueueUrl === undefined) throw new Error(`No queue has the ARN ${arn}.`);
  return QueueUrl;
}
