import {
  CreateQueueCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  PurgeQueueCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SetQueueAttributesCommand,
} from "@aws-sdk/client-sqs";
import { expect, test, vi } from "vitest";
import { createQueues, queuesOf } from "../../localstack/parts/queues.ts";
import { attributeOf, countsOf, differs, makeQueue, prefix, receive, refusal, sqs } from "./target.ts";

test("a queue that exists is made again to no effect, unless with other attributes", async () => {
  const QueueName = `${prefix}again`;
  const make = async (VisibilityTimeout: string) =>
    await sqs.send(new CreateQueueCommand({ QueueName, Attributes: { VisibilityTimeout } }));

  const { QueueUrl } = await make("60");

  expect((await make("60")).QueueUrl).toBe(QueueUrl);
  expect(await refusal(make("61"))).toMatch(/QueueNameExists|QueueAlreadyExists/);
  expect(await attributeOf(QueueUrl ?? "", "VisibilityTimeout")).toBe("60");
});

test("a queue is found by its name, and its attributes can be changed", async () => {
  const made = await makeQueue({ VisibilityTimeout: "60" });

  const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: made.split("/").at(-1) }));
  await sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { VisibilityTimeout: "61" } }));

  expect(QueueUrl).toBe(made);
  await vi.waitUntil(async () => (await attributeOf(made, "VisibilityTimeout")) === "61", {
    timeout: 60_000,
    interval: 50,
  });
});

test("whatever is asked of a queue that is not there is refused by that name", async () => {
  const QueueUrl = `${await makeQueue()}-missing`;
  const Entries = [{ Id: "0", MessageBody: "x" }];

  const refusals = await Promise.all([
    refusal(sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: "x" }))),
    refusal(sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }))),
    refusal(sqs.send(new ReceiveMessageCommand({ QueueUrl }))),
    refusal(sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: "x" }))),
    refusal(sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["All"] }))),
    refusal(sqs.send(new GetQueueUrlCommand({ QueueName: `${prefix}missing` }))),
  ]);

  expect(new Set(refusals)).toEqual(new Set(["QueueDoesNotExist"]));
});

test("purged it is empty, also of what somebody has in hand", async () => {
  const QueueUrl = await makeQueue({ VisibilityTimeout: "600" });
  for (const MessageBody of ["one", "two"]) await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody }));
  await receive(QueueUrl, { MaxNumberOfMessages: 1 });

  await sqs.send(new PurgeQueueCommand({ QueueUrl }));

  await vi.waitUntil(
    async () => {
      const { visible, inHand } = await countsOf(QueueUrl);
      return visible + inHand === 0;
    },
    { timeout: 80_000, interval: 100 },
  );
  expect(await receive(QueueUrl)).toEqual([]);
});

const unchecked = differs({ moto: "it does not check this one", localstack: "it checks none" });
for (const [name, value, difference] of [
  ["VisibilityTimeout", "43201", unchecked],
  ["ReceiveMessageWaitTimeSeconds", "21", unchecked],
  ["MaximumMessageSize", "1048577", differs({ localstack: "it checks none" })],
  ["MessageRetentionPeriod", "59", unchecked],
] as const) {
  test(`${name} out of its range is refused`, difference, async () => {
    expect(await refusal(makeQueue({ [name]: value }))).toMatch(/Invalid(Attribute|Parameter)Value$/);
  });
}

test("the queues of serverless.yml can be made, and made again, with their dead letter queues", async () => {
  const first = await createQueues(sqs, prefix);
  const second = await createQueues(sqs, prefix);

  expect(second).toEqual(first);
  const agents = Object.values(JSON.parse(first["AGENT_QUEUES"] ?? "{}") as Record<string, string>);
  const made = [first["WORK_QUEUE_URL"], first["RESULTS_QUEUE_URL"], ...agents];
  const policies = made.map(async (url = "") => JSON.parse(await attributeOf(url, "RedrivePolicy")) as object);
  const expected = queuesOf().map(({ deadLetters, maxReceiveCount }) => {
    const deadLetterTargetArn: unknown = expect.stringMatching(new RegExp(`:${prefix}${deadLetters.name}$`));
    return { deadLetterTargetArn, maxReceiveCount };
  });
  expect(await Promise.all(policies)).toEqual(expected);
});
