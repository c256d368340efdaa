// Own, though sqs-consumer polls too: this hands whole batches to a function as Lambda does, and honours batchItemFailures.
import { setTimeout as sleep } from "node:timers/promises";
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  type Message,
  type MessageAttributeValue,
  ReceiveMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import type { SQSBatchResponse, SQSMessageAttributes, SQSRecord } from "aws-lambda";
import type { Invoke } from "./lambda-api.ts";

/** A queue that wakes a function, as an `sqs` event of serverless.yml says. */
export type Source = { functionName: string; queueUrl: string; batchSize: number; concurrency: number };

export type Poller = { stop: () => Promise<void> };

/** Short, so that stopping waits for no long poll: one that is broken off could still swallow a message. */
const WAIT_SECONDS = 1;

/** Lambda takes 6 MB an invocation. */
const MAX_EVENT_BYTES = 5_500_000;

/**
 * Does for one queue what Lambda's event source mapping does: hands batches to the function, deletes what it did not report
 * as failed, and leaves the rest to come again: the function says when, or its visibility timeout ends. Where the function itself failed
 * that is here after 2, 4, 8… seconds, at most a minute, so that one at a desk sees the retry; the redrive policy still counts.
 */
export async function startPoller(sqs: SQSClient, invoke: Invoke, source: Source): Promise<Poller> {
  const asked = new GetQueueAttributesCommand({ QueueUrl: source.queueUrl, AttributeNames: ["QueueArn"] });
  const arn = (await sqs.send(asked)).Attributes?.["QueueArn"] ?? "";
  const stopping = new AbortController();
  const loops = Array.from({ length: source.concurrency }, () => poll(sqs, invoke, source, arn, stopping.signal));
  return {
    stop: async () => {
      stopping.abort();
      await Promise.all(loops);
    },
  };
}

async function poll(sqs: SQSClient, invoke: Invoke, source: Source, arn: string, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted) {
    try {
      const messages = await receive(sqs, source);
      for (const batch of batchesOf(messages.map((message) => ({ message, record: recordOf(message, arn) })))) {
        await handle(sqs, invoke, source, batch);
      }
    } catch (error) {
      if (stopping.aborted) return;
      console.error(`${source.functionName} is not fed: ${(error as Error).message}`);
      await sleep(1000, undefined, { signal: stopping }).catch(() => {});
    }
  }
}

/** Ten a call is all that SQS gives; a larger batch is several calls, and only the first waits. */
async function receive(sqs: SQSClient, source: Source): Promise<Message[]> {
  const all: Message[] = [];
  while (all.length < source.batchSize) {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl: source.queueUrl,
        MaxNumberOfMessages: Math.min(10, source.batchSize - all.length),
        WaitTimeSeconds: all.length === 0 ? WAIT_SECONDS : 0,
        MessageAttributeNames: ["All"],
        MessageSystemAttributeNames: ["All"],
      }),
    );
    all.push(...Messages);
    if (Messages.length === 0) break;
  }
  return all;
}

type Entry = { message: Message; record: SQSRecord };

async function handle(sqs: SQSClient, invoke: Invoke, source: Source, batch: Entry[]): Promise<void> {
  const QueueUrl = source.queueUrl;
  const failed = await failuresOf(invoke, source, batch);
  if (failed === "all") return await comeAgain(sqs, QueueUrl, batch);
  for (const entries of tens(batch.filter(({ record }) => !failed.has(record.messageId)))) {
    await sqs.send(
      new DeleteMessageBatchCommand({
        QueueUrl,
        Entries: entries.map(({ message }, i) => ({ Id: String(i), ReceiptHandle: message.ReceiptHandle })),
      }),
    );
  }
}

async function comeAgain(sqs: SQSClient, QueueUrl: string, batch: Entry[]): Promise<void> {
  for (const entries of tens(batch)) {
    const Entries = entries.map(({ message, record }, i) => ({
      Id: String(i),
      ReceiptHandle: message.ReceiptHandle,
      VisibilityTimeout: Math.min(60, 2 ** Number(record.attributes.ApproximateReceiveCount)),
    }));
    await sqs.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries }));
  }
}

/** The ids that the function reported as failed; all where it threw or reported an id that it was not given. */
async function failuresOf(invoke: Invoke, source: Source, batch: Entry[]): Promise<Set<string> | "all"> {
  const all = new Set(batch.map(({ record }) => record.messageId));
  try {
    const event = { Records: batch.map(({ record }) => record) };
    const answer = (await invoke(source.functionName, event)) as Partial<SQSBatchResponse> | null;
    const reported = (answer?.batchItemFailures ?? []).map((failure) => failure.itemIdentifier);
    return reported.every((id) => all.has(id)) ? new Set(reported) : "all";
  } catch (error) {
    console.error((error as Error).message);
    return "all";
  }
}

function batchesOf(entries: Entry[]): Entry[][] {
  const batches: Entry[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const entry of entries) {
    const size = Buffer.byteLength(JSON.stringify(entry.record));
    if (bytes + size > MAX_EVENT_BYTES) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)?.push(entry);
    bytes += size;
  }
  return batches;
}

function tens<T>(items: T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / 10) }, (_, i) => items.slice(i * 10, i * 10 + 10));
}

function recordOf(message: Message, arn: string): SQSRecord {
  const attributes = Object.entries(message.MessageAttributes ?? {}).map(([name, value]) => [name, attributeOf(value)]);
  return {
    messageId: message.MessageId ?? "",
    receiptHandle: message.ReceiptHandle ?? "",
    body: message.Body ?? "",
    attributes: message.Attributes as unknown as SQSRecord["attributes"],
    messageAttributes: Object.fromEntries(attributes) as SQSMessageAttributes,
    md5OfBody: message.MD5OfBody ?? "",
    eventSource: "aws:sqs",
    eventSourceARN: arn,
    awsRegion: arn.split(":")[3] ?? "",
  };
}

function attributeOf(value: MessageAttributeValue): SQSMessageAttributes[string] {
  return {
    dataType: value.DataType ?? "String",
    ...(value.StringValue === undefined ? {} : { stringValue: value.StringValue }),
    ...(value.BinaryValue === undefined ? {} : { binaryValue: Buffer.from(value.BinaryValue).toString("base64") }),
  };
}
