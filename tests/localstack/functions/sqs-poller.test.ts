import { randomUUID } from "node:crypto";
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import type { SQSEvent } from "aws-lambda";
import { afterEach, expect, test, vi } from "vitest";
import type { Invoke } from "../../../localstack/functions/lambda-api.ts";
import { type Poller, startPoller } from "../../../localstack/functions/sqs-poller.ts";

const sqs = new SQSClient({ useQueueUrlAsEndpoint: false });
let poller: Poller | undefined;

afterEach(async () => await poller?.stop());

async function newQueue(Attributes: Record<string, string> = {}): Promise<string> {
  const command = new CreateQueueCommand({ QueueName: `poller-${randomUUID()}`, Attributes });
  return (await sqs.send(command)).QueueUrl ?? "";
}

async function left(QueueUrl: string): Promise<number> {
  const names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"] as const;
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [...names] }));
  return names.reduce((sum, name) => sum + Number(Attributes?.[name]), 0);
}

/** Starts a poller whose function answers with the bodies that it fails; answers the batches that it got. */
async function feed(queueUrl: string, fails: (body: string, batch: number) => boolean, batchSize = 10) {
  const batches: SQSEvent["Records"][] = [];
  const invoke: Invoke = async (_name, event) => {
    const { Records } = event as SQSEvent;
    batches.push(Records);
    const failed = Records.filter(({ body }) => fails(body, batches.length));
    return { batchItemFailures: failed.map(({ messageId }) => ({ itemIdentifier: messageId })) };
  };
  poller = await startPoller(sqs, invoke, { functionName: "fn", queueUrl, batchSize, concurrency: 1 });
  return batches;
}

test("deletes what succeeded, and what was reported as failed comes again after its visibility timeout", async () => {
  const queue = await newQueue({ VisibilityTimeout: "2" });
  await Promise.all(
    ["good", "bad"].map((MessageBody) => sqs.send(new SendMessageCommand({ QueueUrl: queue, MessageBody }))),
  );

  const batches = await feed(queue, (body, batch) => body === "bad" && batch === 1);

  await vi.waitUntil(async () => (await left(queue)) === 0, { timeout: 10_000 });
  const bodies = batches.map((records) => records.map(({ body }) => body));
  expect(bodies.flat().filter((body) => body === "good")).toHaveLength(1);
  expect(bodies.flat().filter((body) => body === "bad")).toHaveLength(2);
  expect(batches.at(-1)?.[0]?.attributes.ApproximateReceiveCount).toBe("2");
});

test.for([
  ["throws", () => Promise.reject(new Error("out of order"))],
  ["reports an id that it was not given", async () => ({ batchItemFailures: [{ itemIdentifier: "unknown" }] })],
] as const)("keeps the whole batch when the function %s", async ([, invoke]) => {
  const queue = await newQueue();
  await sqs.send(new SendMessageCommand({ QueueUrl: queue, MessageBody: "kept" }));
  const called = vi.fn<Invoke>(invoke);
  const said = vi.spyOn(console, "error").mockImplementation(() => {});

  poller = await startPoller(sqs, called, { functionName: "fn", queueUrl: queue, batchSize: 10, concurrency: 1 });

  await vi.waitUntil(() => called.mock.calls.length === 2, { timeout: 10_000 });
  expect(await left(queue)).toBe(1);
  said.mockRestore();
});

test("gives a function up to its batch size at once, as records that SQS would send", async () => {
  const queue = await newQueue();
  for (let i = 0; i < 3; i++) {
    const Entries = Array.from({ length: 10 }, (_, j) => ({
      Id: String(j),
      MessageBody: `${i * 10 + j}`,
      MessageAttributes: { colour: { DataType: "String", StringValue: "green" } },
    }));
    await sqs.send(new SendMessageBatchCommand({ QueueUrl: queue, Entries }));
  }

  const batches = await feed(queue, () => false, 25);

  await vi.waitUntil(async () => (await left(queue)) === 0, { timeout: 10_000 });
  expect(batches.map((records) => records.length)).toEqual([25, 5]);
  expect(batches[0]?.[0]).toMatchObject({
    eventSource: "aws:sqs",
    eventSourceARN: expect.stringMatching(/^arn:aws:sqs:.*:poller-/),
    messageAttributes: { colour: { stringValue: "green", dataType: "String" } },
    attributes: { ApproximateReceiveCount: "1", SentTimestamp: expect.stringMatching(/^\d+$/) },
  });
});

test("splits a batch that is larger than Lambda takes", async () => {
  const queue = await newQueue();
  const MessageBody = "x".repeat(1_000_000);
  for (let i = 0; i < 8; i++) await sqs.send(new SendMessageCommand({ QueueUrl: queue, MessageBody }));

  const batches = await feed(queue, () => false);

  await vi.waitUntil(async () => (await left(queue)) === 0, { timeout: 10_000 });
  expect(batches.map((records) => records.length)).toEqual([5, 3]);
});
