import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { setImmediate as turn } from "node:timers/promises";
import type { BatchResultErrorEntry, Message } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { counters } from "../../../../localstack/bridge/flow/counters.ts";
import { InHand } from "../../../../localstack/bridge/sqs/in-hand.ts";
import type * as Queue from "../../../../localstack/bridge/sqs/queue.ts";

/** What stands for SQS removes nothing, and says why. */
let why: Omit<BatchResultErrorEntry, "Id">;
const server = createServer((request, response) => void refuse(request, response));
let queue: Queue.SqsQueue;

beforeAll(async () => {
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  process.env["AWS_ENDPOINT_URL_SQS"] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { sqsQueue } = await import("../../../../localstack/bridge/sqs/queue.ts");
  queue = sqsQueue("http://elsewhere.example/000000000000/queue", 30);
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
});

async function refuse(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { Entries } = (await json(request)) as { Entries: { Id: string }[] };
  response.end(JSON.stringify({ Successful: [], Failed: Entries.map(({ Id }) => ({ Id, ...why })) }));
}

const lent: Message = { MessageId: "1", ReceiptHandle: "it" };

test.each([
  ["AWS", { SenderFault: true, Code: "ReceiptHandleIsInvalid" }],
  ["LocalStack, which blames no sender,", { SenderFault: false, Code: "ReceiptHandleIsInvalid" }],
])("a receipt that %s does not know any more is not tried again", async (_, said) => {
  why = said;

  expect(await queue.remove([lent])).toEqual([]);
});

test("what SQS fails to remove is to be removed again", async () => {
  why = { SenderFault: false, Code: "InternalError" };

  expect(await queue.remove([lent])).toEqual([lent]);
});

test("and tried again after a pause, not at once", async () => {
  let tries = 0;
  const [over, tried] = [new AbortController(), Promise.withResolvers<void>()];
  const remove = async (messages: Message[]) => {
    tries++;
    tried.resolve();
    await turn();
    return messages;
  };
  const hand = new InHand({ ...queue, remove }, 30, counters(), { stopping: over.signal, over: over.signal });

  hand.remove(lent);
  await tried.promise;
  for (let turns = 0; turns < 100; turns++) await turn();

  over.abort();
  await hand.end();
  // Without a pause there is a try a turn; ten with pauses take half a minute.
  expect(tries).toBeLessThan(10);
});
