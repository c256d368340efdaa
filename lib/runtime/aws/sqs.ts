import {
  type MessageAttributeValue,
  SendMessageBatchCommand,
  type SendMessageBatchCommandInput,
  type SendMessageBatchResult,
  SQSClient,
  type SQSClientConfig,
} from "@aws-sdk/client-sqs";
import { deadline } from "../../time.ts";

/** What one call of SQS carries, attributes counted; a message by itself may be as large. */
const MAX_BATCH_BYTES = 1_048_576;

export type Outgoing = {
  id: string;
  queueUrl: string;
  body: string;
  delaySeconds?: number;
  attributes?: Record<string, string>;
};

/** The client of this process. AWS_ENDPOINT_URL_SQS points it elsewhere, whatever host a queue URL names. */
export const sqs: SQSClient = sqsClient();

/** A client of SQS; where, and as whom, it calls is what the environment of this process says, but for what it is given. */
export function sqsClient(given: Pick<SQSClientConfig, "endpoint" | "region" | "credentials"> = {}): SQSClient {
  return new SQSClient({ maxAttempts: 3, useQueueUrlAsEndpoint: false, md5: false, ...given });
}

/** A queue answers in milliseconds; what takes longer is kept for the sweep rather than holding up the caller. */
const SEND_MS = 5_000;

/** A message that the queue would never take, however often it is sent. */
export type Refusal = { id: string; reason: string };

/** One call of SQS, broken off after so many milliseconds. */
type Send = (input: SendMessageBatchCommandInput, ms: number) => Promise<SendMessageBatchResult>;

/** The calls of a client. */
export function sendBySdk(client: SQSClient): Send {
  return async (input, ms) => await client.send(new SendMessageBatchCommand(input), { abortSignal: deadline(ms) });
}

/** What became of messages that were to be sent. */
export type Outcome = { sent: string[]; refused?: Refusal[]; error?: unknown };

/**
 * Sends messages, ten and 1 MiB to a batch, the batches of a call at once. Answers the ids that the queue has taken; what is
 * missing from them was not sent, and what is in `refused` never will be. Never throws: a message that was not sent is
 * still in the outbox.
 */
export async function sendAll(messages: Outgoing[], send: Send = sendBySdk(sqs)): Promise<Outcome> {
  const outcomes = await Promise.all(batches(messages).map((batch) => sendBatch(batch, send)));
  const error = outcomes.find((outcome) => outcome.error !== undefined)?.error;
  const refused = outcomes.flatMap((outcome) => outcome.refused ?? []);
  return {
    sent: outcomes.flatMap((outcome) => outcome.sent),
    ...(refused.length === 0 ? {} : { refused }),
    ...(error === undefined ? {} : { error }),
  };
}

/** What SQS says of a body that it does not carry; its other refusals are the sender's settings or rights, and mendable. */
const NEVER = /InvalidMessageContents|InvalidParameterValue/;

async function sendBatch(batch: Outgoing[], send: Send): Promise<Outcome> {
  const entries = batch.map((message, index) => ({
    Id: String(index),
    MessageBody: message.body,
    ...(message.delaySeconds === undefined ? {} : { DelaySeconds: message.delaySeconds }),
    ...(message.attributes === undefined ? {} : { MessageAttributes: attributesOf(message.attributes) }),
  }));
  try {
    const input = { QueueUrl: batch[0]?.queueUrl, Entries: entries };
    const answer = await send(input, SEND_MS);
    const sent = (answer.Successful ?? []).map((entry) => batch[Number(entry.Id)]?.id ?? "");
    const [first] = answer.Failed ?? [];
    if (first === undefined) return { sent };
    const refused = (answer.Failed ?? [])
      .filter(({ Code = "" }) => NEVER.test(Code))
      .map(({ Id, Code, Message }) => ({ id: batch[Number(Id)]?.id ?? "", reason: `${Code} ${Message ?? ""}` }));
    return { sent, refused, error: new Error(`SQS refused a message: ${first.Code} ${first.Message ?? ""}`) };
  } catch (error) {
    return { sent: [], error };
  }
}

function attributesOf(attributes: Record<string, string>): Record<string, MessageAttributeValue> {
  const entries = Object.entries(attributes);
  return Object.fromEntries(entries.map(([name, value]) => [name, { DataType: "String", StringValue: value }]));
}

/** Groups messages by queue into batches that SQS takes: at most 10 entries and 1 MiB, attributes counted. */
export function batches(messages: Outgoing[]): Outgoing[][] {
  const open = new Map<string, { batch: Outgoing[]; bytes: number }>();
  const all: Outgoing[][] = [];
  for (const message of messages) {
    const bytes = sizeOf(message);
    let current = open.get(message.queueUrl);
    if (current === undefined || current.batch.length === 10 || current.bytes + bytes > MAX_BATCH_BYTES) {
      current = { batch: [], bytes: 0 };
      open.set(message.queueUrl, current);
      all.push(current.batch);
    }
    current.batch.push(message);
    current.bytes += bytes;
  }
  return all;
}

/** As SQS counts: the body, and name, type and value of each attribute. */
function sizeOf(message: Outgoing): number {
  if (message.attributes === undefined) return Buffer.byteLength(message.body);
  const attributes = Object.entries(message.attributes).map(([name, value]) => `${name}String${value}`);
  return Buffer.byteLength(message.body) + Buffer.byteLength(attributes.join(""));
}
