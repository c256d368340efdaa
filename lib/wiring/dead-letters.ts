import type { SQSRecord } from "aws-lambda";
import { printable } from "../input/json.ts";
import { ORCHESTRATOR } from "../protocol/messages.ts";
import { answerTo, type Refusal } from "../protocol/refusal.ts";
import type { Outgoing } from "../runtime/aws/sqs.ts";
import type { ControlPlane } from "./control-plane.ts";
import type { Edges } from "./edges.ts";

/** What burying needs of a control plane. */
export type Sending = Pick<ControlPlane, "settings" | "stamp" | "edges" | "log">;

/**
 * A message that can never be taken in. `invalid`: it does not follow the protocol; `unstorable`: the database refuses its data;
 * `failed`: a fault of ours, again and again, which is not told to the sender.
 */
export type Letter = { record: SQSRecord; kind: "invalid" | "unstorable" | "failed"; refusal: Refusal };

/**
 * Answers the senders, then puts the messages on the dead letter queue with their reasons, and answers the ids of those that are there: the
 * others stay on the queue. In this order, because an answer twice is harmless and a dead letter twice is two alarms.
 */
export async function bury(plane: Sending, letters: Letter[]): Promise<string[]> {
  if (letters.length === 0) return [];
  const { edges } = plane;
  for (const { record, kind, refusal } of letters) {
    const { remains, error_code, reason } = refusal;
    plane.log.warn("message refused", { ...remains, sqs_message_id: record.messageId, error_code, kind, reason });
  }
  const answers = letters.flatMap((letter) => answerFor(plane, letter));
  const answered = await edges.queues.send(answers);
  const unanswered = new Set(answers.map(({ id }) => id));
  for (const id of answered.sent) unanswered.delete(id);
  const outgoing: Outgoing[] = [];
  let error = answered.error;
  for (const one of letters.filter(({ record }) => !unanswered.has(record.messageId))) {
    try {
      outgoing.push(evidence(one, await deadLetterQueueOf(edges, one.record.eventSourceARN)));
    } catch (caught) {
      error = caught;
    }
  }
  const buried = await edges.queues.send(outgoing);
  error ??= buried.error;
  if (error !== undefined) plane.log.error("dead letter not sent", { error });
  return buried.sent;
}

function evidence({ record, kind, refusal }: Letter, queueUrl: string): Outgoing {
  const { messageId, eventSourceARN, body } = record;
  const attributes = {
    kind,
    ...(kind === "failed" ? {} : { error_code: String(refusal.error_code) }),
    reason: printable(refusal.reason, 1_000),
    source_arn: eventSourceARN,
    message_id: messageId,
  };
  return { id: messageId, queueUrl, body, attributes };
}

function answerFor({ settings, stamp }: Sending, { record, kind, refusal }: Letter): Outgoing[] {
  const { from_agent } = refusal.remains;
  const queueUrl = from_agent === undefined || kind === "failed" ? undefined : settings.queues.agents[from_agent];
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
