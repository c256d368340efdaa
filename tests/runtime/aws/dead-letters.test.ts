import { randomUUID } from "node:crypto";
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SetQueueAttributesCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { expect, test } from "vitest";
import { deadLetterUrl } from "../../../lib/runtime/aws/dead-letters.ts";

/** A client, and the names of the calls that it has made. */
function watched() {
  const sqs = new SQSClient({ useQueueUrlAsEndpoint: false });
  const calls: string[] = [];
  sqs.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        calls.push(String(commandName));
        return await next(args);
      },
    { step: "initialize" },
  );
  return { sqs, calls };
}

async function makeQueue(sqs: SQSClient, deadLetterTargetArn?: string) {
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn, maxReceiveCount: 5 });
  const Attributes = deadLetterTargetArn === undefined ? {} : { RedrivePolicy };
  const { QueueUrl: url = "" } = await sqs.send(new CreateQueueCommand({ QueueName: `d-${randomUUID()}`, Attributes }));
  const asked = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["QueueArn"] }));
  return { url, arn: asked.Attributes?.["QueueArn"] ?? "" };
}

test("the dead letters of a queue are found by its URL and by its ARN, and asked for once", async () => {
  const { sqs, calls } = watched();
  const buried = await makeQueue(sqs);
  const queue = await makeQueue(sqs, buried.arn);
  calls.length = 0;

  const both = await Promise.all([deadLetterUrl(sqs, queue.url, 5000), deadLetterUrl(sqs, queue.url, 5000)]);
  expect([...both, await deadLetterUrl(sqs, queue.arn, 5000)]).toEqual([buried.url, buried.url, buried.url]);
  await deadLetterUrl(sqs, queue.arn, 5000);

  const byUrl = ["GetQueueAttributesCommand", "GetQueueUrlCommand"];
  expect(calls).toEqual([...byUrl, "GetQueueUrlCommand", ...byUrl]);
});

test("a queue without dead letters is asked again, so that a policy that it gets later counts", async () => {
  const { sqs } = watched();
  const [buried, queue] = [await makeQueue(sqs), await makeQueue(sqs)];

  expect(await deadLetterUrl(sqs, queue.url, 5000)).toBeUndefined();
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: buried.arn, maxReceiveCount: 5 });
  await sqs.send(new SetQueueAttributesCommand({ QueueUrl: queue.url, Attributes: { RedrivePolicy } }));

  expect(await deadLetterUrl(sqs, queue.url, 5000)).toBe(buried.url);
});

test("a queue that is not there is asked for again the next time", async () => {
  const { sqs, calls } = watched();
  const { url } = await makeQueue(sqs);
  calls.length = 0;

  for (let i = 0; i < 2; i++) await expect(deadLetterUrl(sqs, `${url}-gone`, 5000)).rejects.toThrow(/queue/i);

  expect(calls).toHaveLength(2);
});
