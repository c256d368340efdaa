import {
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
} from "@aws-sdk/client-sqs";
import { expect, test } from "vitest";
import { collect, differs, makeQueue, receive, refusal, sqs, take } from "./target.ts";

const send = async (QueueUrl: string, MessageBody: string) =>
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody }));
const sendBatch = async (QueueUrl: string, bodies: string[]) => {
  const Entries = bodies.map((MessageBody, index) => ({ Id: `m-${index}`, MessageBody }));
  return await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
};

test("a batch of ten is sent, received with its bodies as they were, and deleted as one", async () => {
  const queue = await makeQueue({ VisibilityTimeout: "60" });
  const bodies = Array.from({ length: 10 }, (_, n) => `{"n": ${n}}`);

  const { Successful = [], Failed = [] } = await sendBatch(queue, bodies);
  const messages = await collect(queue, 10, true);

  expect([Successful.map(({ Id }) => Id), Failed]).toEqual([bodies.map((_, n) => `m-${n}`), []]);
  expect(messages.map(({ Body = "" }) => Body).toSorted()).toEqual(bodies);
  expect(new Set(messages.map(({ MessageId }) => MessageId))).toEqual(
    new Set(Successful.map(({ MessageId }) => MessageId)),
  );
  const Entries = messages.map(({ ReceiptHandle }, n) => ({ Id: String(n), ReceiptHandle }));
  const deleted = await sqs.send(new DeleteMessageBatchCommand({ QueueUrl: queue, Entries }));
  expect([deleted.Successful?.length, deleted.Failed ?? []]).toEqual([10, []]);
  expect(await receive(queue)).toEqual([]);
});

const anyCharacter = { moto: "it takes every character" };
const anyHandle = { fauxqs: "it takes every handle" };
const nobodysFault = { localstack: "it calls nothing the sender's fault" };

test("of a batch to send, the entry that cannot be carried fails alone", differs(anyCharacter), async () => {
  const queue = await makeQueue();

  const { Successful, Failed } = await sendBatch(queue, ["first", "a NUL: \0", "third"]);

  expect(Successful?.map(({ Id }) => Id)).toEqual(["m-0", "m-2"]);
  expect(Failed).toMatchObject([{ Id: "m-1", Code: "InvalidMessageContents" }]);
  expect((await collect(queue, 2)).map(({ Body = "" }) => Body).toSorted()).toEqual(["first", "third"]);
});

test("what cannot be carried is its sender's fault", differs({ ...anyCharacter, ...nobodysFault }), async () => {
  const { Failed } = await sendBatch(await makeQueue(), ["a NUL: \0"]);

  expect(Failed).toMatchObject([{ SenderFault: true }]);
});

test("of a batch to delete, the entry with a handle that is none fails alone", differs(anyHandle), async () => {
  const queue = await makeQueue();
  await send(queue, "to go");
  const { ReceiptHandle } = await take(queue);

  const Entries = [
    { Id: "good", ReceiptHandle },
    { Id: "bad", ReceiptHandle: "nonsense" },
  ];
  const { Successful, Failed } = await sqs.send(new DeleteMessageBatchCommand({ QueueUrl: queue, Entries }));

  expect(Successful?.map(({ Id }) => Id)).toEqual(["good"]);
  expect(Failed).toMatchObject([{ Id: "bad", Code: "ReceiptHandleIsInvalid" }]);
});

test("a handle that is none is its sender's fault", differs({ ...anyHandle, ...nobodysFault }), async () => {
  const Entries = [{ Id: "bad", ReceiptHandle: "nonsense" }];
  const { Failed } = await sqs.send(new DeleteMessageBatchCommand({ QueueUrl: await makeQueue(), Entries }));

  expect(Failed).toMatchObject([{ SenderFault: true }]);
});

test("a message may be deleted twice", async () => {
  const queue = await makeQueue();
  await send(queue, "once");
  const { ReceiptHandle } = await take(queue);

  await sqs.send(new DeleteMessageCommand({ QueueUrl: queue, ReceiptHandle }));

  expect(await refusal(sqs.send(new DeleteMessageCommand({ QueueUrl: queue, ReceiptHandle })))).toBe("not refused");
});

test("a batch has one to ten entries, each with an id of its own", async () => {
  const QueueUrl = await makeQueue();
  const batch = async (ids: string[]) => {
    const Entries = ids.map((Id) => ({ Id, MessageBody: "x" }));
    return await refusal(sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries })));
  };

  expect(await batch([])).toMatch(/EmptyBatchRequest/);
  expect(await batch(Array.from({ length: 11 }, (_, n) => String(n)))).toMatch(/TooManyEntriesInBatchRequest/);
  expect(await batch(["same", "same"])).toMatch(/BatchEntryIdsNotDistinct/);
  expect(await batch(["not an id"])).toMatch(/InvalidBatchEntryId/);
  expect(await receive(QueueUrl)).toEqual([]);
});

test("attributes of text, number and bytes arrive with their message, those that are asked for", async () => {
  const QueueUrl = await makeQueue({ VisibilityTimeout: "0" });
  const MessageAttributes = {
    reason: { DataType: "String", StringValue: "ein Grund, größer" },
    error_code: { DataType: "Number", StringValue: "5003" },
    evidence: { DataType: "Binary", BinaryValue: new Uint8Array([0, 255, 128]) },
  };
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: "told", MessageAttributes }));

  expect((await take(QueueUrl)).MessageAttributes).toEqual(MessageAttributes);

  const one = await take(QueueUrl, { MessageAttributeNames: ["reason"] });
  expect(one.MessageAttributes).toEqual({ reason: MessageAttributes.reason });
});

test("no attributes come where none are asked for", differs({ fauxqs: "attributes always come" }), async () => {
  const QueueUrl = await makeQueue({ VisibilityTimeout: "0" });
  const MessageAttributes = { reason: { DataType: "String", StringValue: "any" } };
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: "told", MessageAttributes }));

  const none = await take(QueueUrl, { MessageAttributeNames: [], MessageSystemAttributeNames: [] });

  expect([none.MessageAttributes ?? {}, none.Attributes ?? {}]).toEqual([{}, {}]);
});

test("a message says when it was sent, when first received, how often, and by whom", async () => {
  const queue = await makeQueue({ VisibilityTimeout: "0" });
  await send(queue, "dated");

  await take(queue);
  const { Attributes = {} } = await take(queue);

  const [sent, first] = [Attributes.SentTimestamp, Attributes.ApproximateFirstReceiveTimestamp].map(Number);
  expect([Attributes.ApproximateReceiveCount, Attributes.SenderId === undefined]).toEqual(["2", false]);
  expect(sent).toBeGreaterThan(1.7e12);
  expect(first).toBeGreaterThanOrEqual(sent ?? Number.POSITIVE_INFINITY);
});
