import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import {
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ListQueuesCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { createQueues, queuesOf } from "../../../localstack/parts/queues.ts";
import { type LocalSqs, startSqs } from "../../../localstack/parts/sqs.ts";

// The script starts a program for each call, twenty and more.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/** Two SQS APIs: the script makes the queues in one, the embedded stack in the other. */
let made: LocalSqs;
let embedded: LocalSqs;
let sqs: SQSClient;
const folder = mkdtempSync(join(tmpdir(), "waybill-init-"));

const clientOf = ({ endpoint }: LocalSqs) => new SQSClient({ endpoint, useQueueUrlAsEndpoint: false });

/** Runs the script as LocalStack does, with an `awslocal` on its PATH that speaks to the SQS API of this test. */
async function runInit(env: Record<string, string> = {}): Promise<void> {
  const shim = `#!/bin/bash\nexec "${process.execPath}" "${resolve("tests/support/queues/awslocal.ts")}" "$@"\n`;
  writeFileSync(join(folder, "awslocal"), shim, { mode: 0o755 });
  await promisify(execFile)("bash", ["localstack/init/queues.sh"], {
    env: {
      PATH: `${folder}:${process.env["PATH"]}`,
      AWS_ENDPOINT_URL_SQS: made.endpoint,
      ...env,
    },
  });
}

beforeAll(async () => {
  made = await startSqs({ port: 0 });
  embedded = await startSqs({ port: 0 });
  sqs = clientOf(made);
  await runInit();
  await createQueues(clientOf(embedded));
});

afterAll(async () => {
  await made.stop();
  await embedded.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Every queue by its name, with the attributes that do not change by themselves. */
async function queuesIn(server: LocalSqs): Promise<Record<string, object>> {
  const client = clientOf(server);
  const { QueueUrls = [] } = await client.send(new ListQueuesCommand({}));
  const found = QueueUrls.map(async (QueueUrl) => {
    const asked = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["All"] });
    const { Attributes = {} } = await client.send(asked);
    const fixed = Object.entries(Attributes).filter(([name]) => !/^Approximate|Timestamp$/.test(name));
    return [QueueUrl.split("/").at(-1) ?? "", Object.fromEntries(fixed)] as const;
  });
  return Object.fromEntries(await Promise.all(found));
}

async function urlOf(QueueName: string): Promise<string> {
  return (await sqs.send(new GetQueueUrlCommand({ QueueName }))).QueueUrl ?? "";
}

test("LocalStack's script makes the same queues as the embedded stack: those of deploy/queues.ts", async () => {
  const queues = await queuesIn(made);

  expect(queues).toEqual(await queuesIn(embedded));
  const expected = queuesOf().flatMap(({ name, attributes, maxReceiveCount, deadLetters }) => {
    const deadLetterTargetArn = `arn:aws:sqs:eu-central-1:000000000000:${deadLetters.name}`;
    const RedrivePolicy = JSON.stringify({ deadLetterTargetArn, maxReceiveCount });
    return [
      [name, { ...attributes, RedrivePolicy }],
      [deadLetters.name, deadLetters.attributes],
    ];
  });
  expect(queues).toMatchObject(Object.fromEntries(expected) as object);
  expect(Object.keys(queues)).toHaveLength(expected.length);
});

test("a message that is never deleted goes from a queue of the script to its dead letters", async () => {
  const QueueUrl = await urlOf("waybill-agent-code");
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: "poison" }));

  const take = new ReceiveMessageCommand({ QueueUrl, VisibilityTimeout: 0, WaitTimeSeconds: 0 });
  const bodies: (string | undefined)[] = [];
  for (let times = 0; times < 6; times++) bodies.push((await sqs.send(take)).Messages?.[0]?.Body);

  expect(bodies).toEqual(["poison", "poison", "poison", "poison", "poison", undefined]);
  const buried = new ReceiveMessageCommand({ QueueUrl: await urlOf("waybill-agent-code-dlq") });
  expect((await sqs.send(buried)).Messages?.[0]?.Body).toBe("poison");
});

test("run again, the script leaves queues and messages as they are", async () => {
  const before = await queuesIn(made);
  const QueueUrl = await urlOf("waybill-work");
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: "kept" }));

  await runInit();

  expect(await queuesIn(made)).toEqual(before);
  expect((await sqs.send(new ReceiveMessageCommand({ QueueUrl }))).Messages?.[0]?.Body).toBe("kept");
});

test("the script ends with an error where LocalStack refuses, so that its health check never succeeds", async () => {
  await expect(runInit({ AWS_ENDPOINT_URL_SQS: embedded.endpoint.replace(/\d+$/, "1") })).rejects.toThrow(
    /fetch failed/,
  );
});
