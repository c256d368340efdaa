import { SendMessageBatchCommand, SendMessageCommand } from "@aws-sdk/client-sqs";
import { expect, test } from "vitest";
import { stringifyForQueue } from "../../lib/input/json.ts";
import { differs, makeQueue, refusal, sqs, take } from "./target.ts";

const MIB = 1_048_576;

const send = async (QueueUrl: string, MessageBody: string) =>
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody }));
const sendBatch = async (QueueUrl: string, bodies: string[]) => {
  const Entries = bodies.map((MessageBody, index) => ({ Id: `m-${index}`, MessageBody }));
  return await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
};

test(
  "a message of 1 MiB is carried, one byte more is not",
  differs({ moto: "it counts characters, not bytes" }),
  async () => {
    const queue = await makeQueue();
    const fits = `é${"x".repeat(MIB - 2)}`;

    await send(queue, fits);

    expect((await take(queue)).Body === fits).toBe(true);
    expect(await refusal(send(queue, `${fits}x`))).toMatch(/InvalidParameterValue|InvalidMessageContents/);
  },
);

test(
  "attributes count, with their name and type, and a whole batch has 1 MiB",
  differs({ moto: "it counts the body alone" }),
  async () => {
    const QueueUrl = await makeQueue();
    const MessageAttributes = { reason: { DataType: "String", StringValue: "x" } };
    const MessageBody = "x".repeat(MIB - "reasonStringx".length);

    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody, MessageAttributes }));

    const over = new SendMessageCommand({ QueueUrl, MessageBody: `${MessageBody}x`, MessageAttributes });
    expect(await refusal(sqs.send(over))).toMatch(/InvalidParameterValue|InvalidMessageContents/);
    expect(await refusal(sendBatch(QueueUrl, ["x".repeat(MIB / 2), "x".repeat(MIB / 2 + 1)]))).toMatch(
      /BatchRequestTooLong/,
    );
  },
);

test(
  "a queue may take less than 1 MiB",
  differs({ moto: "the entry that is too long fails its whole batch" }),
  async () => {
    const queue = await makeQueue({ MaximumMessageSize: "1024" });

    await send(queue, "x".repeat(1024));

    expect(await refusal(send(queue, "x".repeat(1025)))).toMatch(/InvalidParameterValue|InvalidMessageContents/);
    const { Successful, Failed } = await sendBatch(queue, ["small", "x".repeat(1025)]);
    expect([Successful?.[0]?.Id, Failed?.[0]?.Id]).toEqual(["m-0", "m-1"]);
  },
);

test("text of the first plane arrives as it was: tab, line ends, accents, the last allowed characters", async () => {
  const queue = await makeQueue();
  const text = " \t\n\r\u0020\u007f\u0085é\u2028\ud7ff\ue000\ufffd ";

  await send(queue, text);

  expect((await take(queue)).Body).toBe(text);
});

test("characters past the first plane arrive as they were", async () => {
  const queue = await makeQueue();

  await send(queue, "😀 𝒳 \u{10fffd}");

  expect((await take(queue)).Body).toBe("😀 𝒳 \u{10fffd}");
});

test(
  "control characters and what is no character are refused",
  differs({ moto: "it takes every character" }),
  async () => {
    const queue = await makeQueue();

    for (const text of ["\0", "\u0001", "\u001f", "\ufffe", "\uffff"]) {
      expect([text, await refusal(send(queue, `a ${text} b`))]).toEqual([
        text,
        expect.stringMatching(/InvalidMessageContents$/),
      ]);
    }
  },
);

test("what the protocol makes of any text is carried everywhere", async () => {
  const queue = await makeQueue();
  const value = { text: "😀\u0000\u001f\ufffe\uffff\ud7ff\u{10ffff}", "kéy 😀": "\t\r\n" };
  const body = stringifyForQueue(value);

  await send(queue, body);

  const { Body = "" } = await take(queue);
  expect([Body, JSON.parse(Body)]).toEqual([body, value]);
});

test("an empty body is refused", differs({ moto: "it takes one" }), async () => {
  const queue = await makeQueue();

  expect(await refusal(send(queue, ""))).not.toBe("not refused");
});
