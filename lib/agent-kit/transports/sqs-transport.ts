import { setTimeout as sleep } from "node:timers/promises";
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  type Message,
  ReceiveMessageCommand,
} from "@aws-sdk/client-sqs";
import { sendAll, sqs } from "../../runtime/aws/sqs.ts";
import { deadline } from "../../time.ts";
import type { AgentSettings, SqsQueue } from "./env.ts";
import type { Delivery, Transport } from "./transport.ts";

/** So often a message that nobody has use for is received: once more, and the redrive policy would make it a dead letter. */
const MOST_SEEN = 5;
/**
 * Who passes a message on leaves the queue to others, which wait for messages all the while: so long, times the deliveries so far.
 * The slower they are, the longer.
 */
const ASIDE_MS = 500;

type SqsSettings = Pick<AgentSettings, "visibilitySeconds" | "pollSeconds"> & { queue: SqsQueue };

/**
 * Messages over SQS. A long poll is never broken off: SQS may already have lent its messages to the lost connection, and
 * they would be nobody's until their visibility ends. So polls are short and a stopping agent waits for its last one.
 *
 * Why not sqs-consumer 15: it asks for the next messages only when all of the last ones are handled, so a `cancelled`
 * would wait for the very work that it is to stop.
 */
export function sqsTransport({ queue, visibilitySeconds, pollSeconds }: SqsSettings): Transport {
  const { queueUrl, resultsUrl } = queue;
  const changeVisibility = async (message: Message, seconds: number) => {
    const { ReceiptHandle } = message;
    const change = { QueueUrl: queueUrl, ReceiptHandle, VisibilityTimeout: seconds };
    await sqs.send(new ChangeMessageVisibilityCommand(change), patience());
  };
  const accept = async ({ ReceiptHandle }: Message) => {
    await sqs.send(new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle }), patience());
  };
  let asideUntil = 0;
  const deliver = (message: Message): Delivery => {
    const receiveCount = Number(message.Attributes?.["ApproximateReceiveCount"] ?? 1);
    return {
      id: message.MessageId ?? "",
      body: message.Body ?? "",
      receiveCount,
      extend: () => changeVisibility(message, visibilitySeconds),
      accept: () => accept(message),
      release: () => changeVisibility(message, 0),
      passOn: async () => {
        if (receiveCount >= MOST_SEEN) return await accept(message);
        asideUntil = performance.now() + ASIDE_MS * receiveCount;
        await changeVisibility(message, 0);
      },
      // The redrive policy counts deliveries: given back at once, the message is in the dead letter queue soon.
      reject: () => changeVisibility(message, 0),
    };
  };
  return {
    receive: async (max) => {
      await sleep(Math.max(0, asideUntil - performance.now()));
      const { Messages } = await sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: queueUrl,
          MaxNumberOfMessages: Math.min(10, max),
          WaitTimeSeconds: pollSeconds,
          VisibilityTimeout: visibilitySeconds,
          MessageSystemAttributeNames: ["ApproximateReceiveCount"],
        }),
        patience(pollSeconds),
      );
      return (Messages ?? []).map(deliver);
    },
    send: (letters) => sendAll(letters.map((letter) => ({ ...letter, queueUrl: resultsUrl }))),
  };
}

/** A connection that died without a word must not hold the agent for ever. */
function patience(extraSeconds = 0): { abortSignal: AbortSignal } {
  return { abortSignal: deadline((10 + extraSeconds) * 1000) };
}
