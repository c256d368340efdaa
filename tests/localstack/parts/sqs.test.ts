import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ChangeMessageVisibilityCommand,
  CreateQueueCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
  SetQueueAttributesCommand,
  SQSClient,
  TagQueueCommand,
  UntagQueueCommand,
} from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type LocalSqs, startSqs } from "../../../localstack/parts/sqs.ts";

let server: LocalSqs;
let sqs: SQSClient;

beforeAll(async () => {
  server = await startSqs({ port: 0 });
  sqs = new SQSClient({ endpoint: server.endpoint, useQueueUrlAsEndpoint: false });
});

afterAll(async () => await server.stop());

async function queue(QueueName: string): Promise<string> {
  return (await sqs.send(new CreateQueueCommand({ QueueName }))).QueueUrl ?? "";
}

async function receive(QueueUrl: string, abortSignal?: AbortSignal, WaitTimeSeconds = 0): Promise<Message[]> {
  const poll = new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds });
  return (await sqs.send(poll, abortSignal === undefined ? {} : { abortSignal })).Messages ?? [];
}

test("a message is not lost to a long poll whose caller is gone", async () => {
  const QueueUrl = await queue("abandoned");
  const gone = new AbortController();
  const poll = receive(QueueUrl, gone.signal, 20);
  setTimeout(() => gone.abort(), 300);
  await expect(poll).rejects.toThrow("abort");

  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: "for who comes next" }));

  const [message] = await vi.waitUntil(
    async () => {
      const messages = await receive(QueueUrl);
      return messages.length > 0 && messages;
    },
    { timeout: 5000, interval: 50 },
  );
  expect(message?.Body).toBe("for who comes next");
});

test("a message that somebody received stays invisible to others", async () => {
  const QueueUrl = await queue("received");
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: "once" }));

  expect(await receive(QueueUrl)).toHaveLength(1);

  expect(await receive(QueueUrl, undefined, 1)).toEqual([]);
});

test("a message that is given back comes again at once, and is counted, where messages are kept on disk", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "waybill-sqs-"));
  const kept = await startSqs({ port: 0, dataDir });
  const client = new SQSClient({ endpoint: kept.endpoint, useQueueUrlAsEndpoint: false });
  const { QueueUrl = "" } = await client.send(new CreateQueueCommand({ QueueName: "given-back" }));
  await client.send(new SendMessageCommand({ QueueUrl, MessageBody: "again" }));
  const counts: unknown[] = [];
  for (let n = 0; n < 3; n++) {
    const poll = new ReceiveMessageCommand({ QueueUrl, MessageSystemAttributeNames: ["ApproximateReceiveCount"] });
    const [message] = (await client.send(poll)).Messages ?? [];
    counts.push(message?.Attributes?.ApproximateReceiveCount);
    const { ReceiptHandle } = message ?? {};
    await client.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout: 0 }));
  }
  client.destroy();
  await kept.stop();
  rmSync(dataDir, { recursive: true, force: true });

  expect(counts).toEqual(["1", "2", "3"]);
});

test("messages that are kept on disk outlive a start after whatever was changed about their queue", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "waybill-sqs-"));
  const first = await startSqs({ port: 0, dataDir });
  const client = new SQSClient({ endpoint: first.endpoint, useQueueUrlAsEndpoint: false });
  const names = ["left", "tagged", "untagged", "set", "made"];
  const urls: string[] = [];
  for (const QueueName of names) {
    const { QueueUrl = "" } = await client.send(new CreateQueueCommand({ QueueName }));
    await client.send(new SendMessageCommand({ QueueUrl, MessageBody: `of ${QueueName}` }));
    urls.push(QueueUrl);
  }
  const [, tagged, untagged, set] = urls;
  await client.send(new TagQueueCommand({ QueueUrl: tagged, Tags: { carried: "yes" } }));
  await client.send(new UntagQueueCommand({ QueueUrl: untagged, TagKeys: ["carried"] }));
  await client.send(new SetQueueAttributesCommand({ QueueUrl: set, Attributes: { VisibilityTimeout: "5" } }));
  await client.send(new CreateQueueCommand({ QueueName: "made" }));
  await first.stop();

  const second = await startSqs({ port: first.port, dataDir });
  const came: (string | undefined)[] = [];
  for (const QueueUrl of urls) {
    const { Messages = [] } = await client.send(new ReceiveMessageCommand({ QueueUrl }));
    came.push(...Messages.map(({ Body }) => Body));
  }
  client.destroy();
  await second.stop();
  rmSync(dataDir, { recursive: true, force: true });

  expect(came).toEqual(names.map((name) => `of ${name}`));
});
