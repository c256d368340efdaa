import { GetQueueAttributesCommand, ListQueueTagsCommand, type SQSClient } from "@aws-sdk/client-sqs";
import { createQueue, findQueue, type QueueSpec } from "./create-queue.ts";
import { deadLetterUrl } from "./dead-letters.ts";
import { type Held, holdMessages } from "./hold.ts";
import { type Outcome, type Outgoing, sendAll, sendBySdk, sqs } from "./sqs.ts";

/** About how many messages wait in a queue, delayed ones too, and how many somebody has and has not settled. */
export type Counts = { waiting: number; in_flight: number };

/** The queues of a process. All but `send` reject where SQS does not answer, or refuses. */
export type Queues = {
  /** Puts messages on queues, by their URLs; answers which were taken, and why where one was not. */
  send: (messages: Outgoing[]) => Promise<Outcome>;
  /** The URL of the queue of this name, within so many milliseconds; undefined where there is none, or none that we may see. */
  find: (name: string, ms: number) => Promise<string | undefined>;
  /** Makes a queue with its dead letter queue, or gives those that are there these attributes; answers the queue's URL. */
  create: (spec: QueueSpec) => Promise<string>;
  /** The URL of the dead letter queue of a queue, by URL or ARN, within so many milliseconds a call; undefined where it has none. */
  deadLetterUrl: (queue: string, ms: number) => Promise<string | undefined>;
  /** Has received messages of a queue, by its ARN, come again after their seconds, within so many milliseconds a call. */
  hold: (queueArn: string, held: readonly Held[], ms: number) => Promise<void>;
  counts: (url: string, signal: AbortSignal) => Promise<Counts>;
  /** Whether the bridge takes a queue's messages to another broker: then they may wait there, and its counts say nothing of them. */
  isCarried: (url: string, signal: AbortSignal) => Promise<boolean>;
};

/** The queues that a client of SQS reaches, by default the one of this process. */
export function sqsQueues(client: SQSClient = sqs): Queues {
  return {
    send: async (messages) => await sendAll(messages, sendBySdk(client)),
    find: async (name, ms) => await findQueue(client, name, ms),
    create: async (spec) => await createQueue(client, spec),
    deadLetterUrl: async (queue, ms) => await deadLetterUrl(client, queue, ms),
    hold: async (queueArn, held, ms) => await holdMessages(client, queueArn, held, ms),
    counts: async (url, signal) => await countsOf(client, url, signal),
    isCarried: async (QueueUrl, abortSignal) => {
      const { Tags = {} } = await client.send(new ListQueueTagsCommand({ QueueUrl }), { abortSignal });
      return Tags[CARRIED_TAG] !== undefined;
    },
  };
}

/** The tag that the bridge gives the queues that it reads. */
export const CARRIED_TAG = "waybill:carried-to";

async function countsOf(client: SQSClient, QueueUrl: string, abortSignal: AbortSignal): Promise<Counts> {
  const command = new GetQueueAttributesCommand({
    QueueUrl,
    AttributeNames: [
      "ApproximateNumberOfMessages",
      "ApproximateNumberOfMessagesDelayed",
      "ApproximateNumberOfMessagesNotVisible",
    ],
  });
  const { Attributes = {} } = await client.send(command, { abortSignal });
  return {
    waiting:
      Number(Attributes.ApproximateNumberOfMessages ?? 0) + Number(Attributes.ApproximateNumberOfMessagesDelayed ?? 0),
    in_flight: Number(Attributes.ApproximateNumberOfMessagesNotVisible ?? 0),
  };
}
