import { randomUUID } from "node:crypto";
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  ListQueuesCommand,
  type Message,
  ReceiveMessageCommand,
  type ReceiveMessageCommandInput,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { afterAll, vi } from "vitest";

/** Which SQS answers at the endpoint under test. */
type Emulator = "fauxqs" | "localstack" | "moto" | "another";

/** At the endpoint of AWS_ENDPOINT_URL_SQS or AWS_ENDPOINT_URL: `npm test` names the embedded one. */
export const sqs = new SQSClient({ useQueueUrlAsEndpoint: false });

/** What the names of this file's queues begin with; all of them are deleted when it has run. */
export const prefix = `waybill-contract-${randomUUID().slice(0, 8)}-`;

const emulator = await emulatorAt(process.env["AWS_ENDPOINT_URL_SQS"] ?? process.env["AWS_ENDPOINT_URL"] ?? "");

async function emulatorAt(endpoint: string): Promise<Emulator> {
  const answers = async (path: string) => {
    const answer = await fetch(new URL(path, endpoint)).catch(() => undefined);
    return answer?.status === 200;
  };
  if (!endpoint.startsWith("http:")) return "another";
  if (await answers("/_fauxqs/queues")) return "fauxqs";
  if (await answers("/_localstack/health")) return "localstack";
  return (await answers("/moto-api/data.json")) ? "moto" : "another";
}

/**
 * Every test here says what AWS does. Where an emulator is known to differ, with the reason, the test must fail there, so that
 * one that is mended gets noticed; docs/queues.md has the list.
 */
export function differs(reasons: Partial<Record<Emulator, string>>): { fails: boolean } {
  return { fails: reasons[emulator] !== undefined };
}

// AWS itself may take a minute until a purge or another attribute is seen.
vi.setConfig({ testTimeout: 90_000 });

/** Makes a queue of its own for one test and answers its URL. */
export async function makeQueue(Attributes: Record<string, string> = {}): Promise<string> {
  const QueueName = `${prefix}${randomUUID()}`;
  return (await sqs.send(new CreateQueueCommand({ QueueName, Attributes }))).QueueUrl ?? "";
}

/** One attribute of a queue, as text. */
export async function attributeOf(QueueUrl: string, name: "QueueArn" | "VisibilityTimeout" | "RedrivePolicy") {
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [name] }));
  return Attributes?.[name] ?? "";
}

/** How many messages can be had, are in hand, and are delayed. */
export async function countsOf(QueueUrl: string): Promise<{ visible: number; inHand: number; delayed: number }> {
  const { Attributes = {} } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["All"] }));
  return {
    visible: Number(Attributes.ApproximateNumberOfMessages),
    inHand: Number(Attributes.ApproximateNumberOfMessagesNotVisible),
    delayed: Number(Attributes.ApproximateNumberOfMessagesDelayed),
  };
}

/** One call for messages, with everything about them. It does not wait unless told. */
export async function receive(
  QueueUrl: string,
  more: Partial<ReceiveMessageCommandInput> = {},
  abortSignal?: AbortSignal,
): Promise<Message[]> {
  const command = new ReceiveMessageCommand({
    QueueUrl,
    MaxNumberOfMessages: 10,
    WaitTimeSeconds: 0,
    MessageAttributeNames: ["All"],
    MessageSystemAttributeNames: ["All"],
    ...more,
  });
  return (await sqs.send(command, abortSignal === undefined ? {} : { abortSignal })).Messages ?? [];
}

/** Waits for so many messages: SQS may answer with fewer than it has. They are deleted where `keep` does not say otherwise. */
export async function collect(QueueUrl: string, count: number, keep = false): Promise<Message[]> {
  const all: Message[] = [];
  const some = async () => {
    const messages = await receive(QueueUrl, { WaitTimeSeconds: 2 });
    all.push(...messages);
    if (keep) return all.length >= count;
    for (const { ReceiptHandle } of messages) await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
    return all.length >= count;
  };
  await vi.waitUntil(some, { timeout: 60_000, interval: 20 });
  return all;
}

/** The one message that a queue has. */
export async function take(QueueUrl: string, more: Partial<ReceiveMessageCommandInput> = {}): Promise<Message> {
  const first = async () => (await receive(QueueUrl, { WaitTimeSeconds: 2, ...more }))[0];
  return await vi.waitUntil(first, { timeout: 60_000, interval: 20 });
}

/** The name of the error by which a call is refused. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => "not refused",
    (error: unknown) => (error as Error).name,
  );
}

afterAll(async () => {
  const { QueueUrls = [] } = await sqs.send(new ListQueuesCommand({ QueueNamePrefix: prefix }));
  for (const QueueUrl of QueueUrls) await sqs.send(new DeleteQueueCommand({ QueueUrl }));
});
