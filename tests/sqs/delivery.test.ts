import {
  ChangeMessageVisibilityBatchCommand,
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  type Message,
  SendMessageCommand,
  type SendMessageCommandInput,
} from "@aws-sdk/client-sqs";
import { expect, test, vi } from "vitest";
import { attributeOf, collect, countsOf, differs, makeQueue, receive, refusal, sqs, take } from "./target.ts";

const send = async (QueueUrl: string, MessageBody: string, more: Partial<SendMessageCommandInput> = {}) =>
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody, ...more }));
const change = async (QueueUrl: string, { ReceiptHandle }: Message, VisibilityTimeout: number) =>
  await sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout }));

/** How long the message was on the queue until somebody got it first, by the clock of SQS. */
function lay({ Attributes = {} }: Message): number {
  return Number(Attributes.ApproximateFirstReceiveTimestamp) - Number(Attributes.SentTimestamp);
}

test("what one has received others do not get, until its time is over", async () => {
  const queue = await makeQueue({ VisibilityTimeout: "60" });
  await send(queue, "lent");

  const first = await take(queue, { VisibilityTimeout: 2 });

  expect(await receive(queue)).toEqual([]);
  const again = await take(queue);
  expect([again.MessageId, again.Attributes?.ApproximateReceiveCount]).toEqual([first.MessageId, "2"]);
});

test("the queue's own time counts where a call names none", async () => {
  const queue = await makeQueue({ VisibilityTimeout: "1" });
  await send(queue, "lent");

  await take(queue);

  expect((await take(queue)).Attributes?.ApproximateReceiveCount).toBe("2");
});

test("given back with a time of 0 it is there at once, for any other", async () => {
  const queue = await makeQueue({ VisibilityTimeout: "600" });
  await send(queue, "lent");
  const first = await take(queue);

  await change(queue, first, 0);

  expect((await take(queue)).Attributes?.ApproximateReceiveCount).toBe("2");
});

test("prolonged it stays away, and is deleted with the handle that it was received with", async () => {
  const queue = await makeQueue({ VisibilityTimeout: "2" });
  await send(queue, "long work");
  const message = await take(queue);
  await send(queue, "short work");

  await change(queue, message, 600);
  // The second message comes a second time, and the first, received before it, has not.
  const bodies = [await take(queue), await take(queue)].map(({ Body }) => Body);

  expect(bodies).toEqual(["short work", "short work"]);
  expect(await countsOf(queue)).toMatchObject({ visible: 0, inHand: 2 });
  await sqs.send(new DeleteMessageCommand({ QueueUrl: queue, ReceiptHandle: message.ReceiptHandle }));
  await vi.waitUntil(async () => (await countsOf(queue)).inHand < 2, { timeout: 60_000, interval: 50 });
});

test("of a batch to change, the entry with a handle that is none fails alone", async () => {
  const queue = await makeQueue({ VisibilityTimeout: "600" });
  await send(queue, "one");
  const { ReceiptHandle } = await take(queue);

  const Entries = [
    { Id: "good", ReceiptHandle, VisibilityTimeout: 0 },
    { Id: "bad", ReceiptHandle: "nonsense", VisibilityTimeout: 0 },
  ];
  const { Successful, Failed } = await sqs.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: queue, Entries }));

  expect(Successful?.map(({ Id }) => Id)).toEqual(["good"]);
  expect(Failed).toMatchObject([{ Id: "bad", Code: "ReceiptHandleIsInvalid" }]);
  expect((await take(queue)).Body).toBe("one");
});

test("a time past twelve hours is refused", differs({ localstack: "it takes any time" }), async () => {
  const queue = await makeQueue();
  await send(queue, "one");
  const message = await take(queue);

  expect(await refusal(change(queue, message, 43_201))).toMatch(/InvalidParameterValue/);
});

test("a delayed message is not there before its time", async () => {
  const queue = await makeQueue();
  await send(queue, "later", { DelaySeconds: 3 });

  expect(await countsOf(queue)).toMatchObject({ visible: 0, delayed: 1 });
  const message = await take(queue);

  expect(lay(message)).toBeGreaterThanOrEqual(2_900);
});

test("the queue's own delay counts where a message names none", async () => {
  const queue = await makeQueue({ DelaySeconds: "2" });
  await send(queue, "later");
  await send(queue, "now", { DelaySeconds: 0 });

  const bodies = (await collect(queue, 2)).map(({ Body }) => Body);

  expect(bodies).toEqual(["now", "later"]);
});

const anyDelay = "it takes any delay";
test("a delay past fifteen minutes is refused", differs({ fauxqs: anyDelay, localstack: anyDelay }), async () => {
  const queue = await makeQueue();

  expect(await refusal(send(queue, "too late", { DelaySeconds: 901 }))).toMatch(/InvalidParameterValue/);
});

test("received once too often it goes to the dead letter queue, whole", async () => {
  const letters = await makeQueue();
  const deadLetterTargetArn = await attributeOf(letters, "QueueArn");
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn, maxReceiveCount: 2 });
  const queue = await makeQueue({ RedrivePolicy });
  const MessageAttributes = { reason: { DataType: "String", StringValue: "kept" } };
  const { MessageId } = await send(queue, "poison", { MessageAttributes });
  await send(queue, "healthy", { DelaySeconds: 1 });

  await take(queue, { VisibilityTimeout: 0, MaxNumberOfMessages: 1 });
  await vi.waitUntil(
    async () => {
      const messages = await receive(queue, { VisibilityTimeout: 0 });
      return messages.every(({ Body }) => Body !== "poison");
    },
    { timeout: 60_000, interval: 50 },
  );

  const letter = await take(letters);
  expect(letter).toMatchObject({ MessageId, Body: "poison", MessageAttributes });
});

const anyName = "it takes any name";
test("a redrive policy that names no queue is refused", differs({ fauxqs: anyName, localstack: anyName }), async () => {
  const deadLetterTargetArn = `${await attributeOf(await makeQueue(), "QueueArn")}-missing`;
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn, maxReceiveCount: 2 });

  expect(await refusal(makeQueue({ RedrivePolicy }))).not.toBe("not refused");
});

test("a long poll ends with the first message, not with its time", async () => {
  const queue = await makeQueue();
  const poll = receive(queue, { WaitTimeSeconds: 20 });

  await send(queue, "wake up");

  const [message = {}] = await poll;
  expect(message.Body).toBe("wake up");
  expect(lay(message)).toBeLessThan(8_000);
});

test("the queue's own waiting time counts where a call names none", async () => {
  const queue = await makeQueue({ ReceiveMessageWaitTimeSeconds: "20" });
  await send(queue, "later", { DelaySeconds: 1 });

  const [message] = await receive(queue, { WaitTimeSeconds: undefined });

  expect(message?.Body).toBe("later");
});

test("a message is not lost to a long poll whose caller is gone", async () => {
  const queue = await makeQueue({ VisibilityTimeout: "2" });
  const gone = new AbortController();
  const poll = receive(queue, { WaitTimeSeconds: 20 }, gone.signal);
  // Counted by nobody, so there is nothing to wait for: the poll is only most probably there when it is cut off.
  setTimeout(() => gone.abort(), 300);
  await expect(poll).rejects.toThrow("abort");

  await send(queue, "for who comes next");

  expect((await take(queue)).Body).toBe("for who comes next");
});
