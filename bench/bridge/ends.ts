import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import type { ChannelModel } from "amqplib";
import { CALLS } from "../../localstack/bridge/flow/limits.ts";

/** The calls of SQS that an end makes, ten messages each. */
export type SqsCalls = {
  receive: (QueueUrl: string) => Promise<Message[]>;
  remove: (QueueUrl: string, messages: Message[]) => Promise<unknown>;
  send: (QueueUrl: string, bodies: string[]) => Promise<unknown>;
};

/** As everybody makes them. */
export function callsOfSdk(sqs: SQSClient): SqsCalls {
  return {
    receive: async (QueueUrl) =>
      (await sqs.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }))).Messages ?? [],
    remove: async (QueueUrl, messages) =>
      await sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries: handlesOf(messages) })),
    send: async (QueueUrl, bodies) =>
      await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries: entriesOf(bodies) })),
  };
}

/** As the bridge makes them, of the SQS that AWS_ENDPOINT_URL_SQS names. */
export async function callsOfBridge(): Promise<SqsCalls> {
  const { receiveMessages, deleteMessages, sendMessages } = await import("../../localstack/bridge/sqs/call.ts");
  return {
    receive: async (QueueUrl) => (await receiveMessages({ QueueUrl, MaxNumberOfMessages: 10 }, CALL_MS)).Messages ?? [],
    remove: async (QueueUrl, messages) => await deleteMessages({ QueueUrl, Entries: handlesOf(messages) }, CALL_MS),
    send: async (QueueUrl, bodies) => await sendMessages({ QueueUrl, Entries: entriesOf(bodies) }, CALL_MS),
  };
}

const CALL_MS = 10_000;

function handlesOf(messages: Message[]) {
  return messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
}

function entriesOf(bodies: string[]) {
  return bodies.map((MessageBody, index) => ({ Id: String(index), MessageBody }));
}

// The four ends of the bridge, each alone: what a plain client that does nothing else reaches, with as much at once as the bridge.

/** Messages unconfirmed or not acked, as the bridge has them. */
const IN_HAND = 100;

/** A queue that nobody else knows. */
export async function makeQueue(sqs: SQSClient, name: string): Promise<string> {
  const { QueueUrl = "" } = await sqs.send(new CreateQueueCommand({ QueueName: name }));
  return QueueUrl;
}

/** Puts all bodies on a queue of SQS; answers messages a second. */
export async function sendToSqs(calls: SqsCalls, QueueUrl: string, bodies: string[]): Promise<number> {
  return await perSecond(bodies.length, async () => {
    const batches = Array.from({ length: Math.ceil(bodies.length / 10) }, (_, i) => bodies.slice(i * 10, i * 10 + 10));
    await atOnce(async () => {
      const batch = batches.pop();
      if (batch === undefined) return false;
      await calls.send(QueueUrl, batch);
      return true;
    });
  });
}

/** Takes `count` messages from a queue of SQS and deletes them; answers messages a second. */
export async function takeFromSqs(calls: SqsCalls, QueueUrl: string, count: number): Promise<number> {
  let left = count;
  return await perSecond(count, async () => {
    await atOnce(async () => {
      if (left <= 0) return false;
      const messages = await calls.receive(QueueUrl);
      if (messages.length === 0) return left > 0;
      await calls.remove(QueueUrl, messages);
      left -= messages.length;
      return true;
    });
  });
}

/** Publishes all bodies with confirms, as many unconfirmed as the bridge has; answers messages a second. */
export async function publish(
  rabbit: ChannelModel,
  exchange: string,
  routingKey: string,
  bodies: string[],
): Promise<number> {
  const channel = await rabbit.createConfirmChannel();
  const rate = await perSecond(bodies.length, async () => {
    for (let i = 0; i < bodies.length; i += IN_HAND) {
      for (const body of bodies.slice(i, i + IN_HAND)) {
        channel.publish(exchange, routingKey, Buffer.from(body), { persistent: true, mandatory: true });
      }
      await channel.waitForConfirms();
    }
  });
  await channel.close();
  return rate;
}

/** Consumes and acks `count` messages; answers messages a second from the first to the last. */
export async function consume(rabbit: ChannelModel, queue: string, count: number, prefetch = IN_HAND): Promise<number> {
  const channel = await rabbit.createChannel();
  await channel.prefetch(prefetch);
  const rate = await new Promise<number>((resolve, reject) => {
    let got = 0;
    let first = 0;
    const take = (message: Parameters<Parameters<typeof channel.consume>[1]>[0]) => {
      if (message === null) return reject(new Error("the queue is gone"));
      channel.ack(message);
      if (++got === 1) first = performance.now();
      if (got === count) resolve(((count - 1) * 1000) / (performance.now() - first));
    };
    channel.consume(queue, take).catch(reject);
  });
  await channel.close();
  return rate;
}

async function atOnce(step: () => Promise<boolean>): Promise<void> {
  await Promise.all(
    Array.from({ length: CALLS }, async () => {
      while (await step());
    }),
  );
}

async function perSecond(count: number, run: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await run();
  return (count * 1000) / (performance.now() - started);
}
