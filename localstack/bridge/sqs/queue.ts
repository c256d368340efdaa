import {
  type BatchResultErrorEntry,
  ChangeMessageVisibilityBatchCommand,
  GetQueueAttributesCommand,
  ListQueuesCommand,
  type Message,
  type ReceiveMessageCommandInput,
  TagQueueCommand,
} from "@aws-sdk/client-sqs";
import { deadLetterUrl } from "../../../lib/runtime/aws/dead-letters.ts";
import { CARRIED_TAG } from "../../../lib/runtime/aws/queues.ts";
import { deadline, deleteMessages, receiveMessages, sqs } from "./call.ts";

/** A call that takes longer is broken off and made again. */
const CALL_MS = 10_000;

/** One queue of SQS. Every call rejects while SQS does not answer; ten messages a call. */
export type SqsQueue = {
  url: string;
  /** Takes up to `most`, ten at the most, waiting for the first. */
  receive: (waitSeconds: number, most: number) => Promise<Message[]>;
  /** Keeps them from others for this long from now; 0 gives them back. */
  hold: (messages: Message[], seconds: number) => Promise<void>;
  /** Answers those that are still there and are to be removed again. */
  remove: (messages: Message[]) => Promise<Message[]>;
  /** Tags it, so that nobody takes an empty queue for lost messages: they wait at the broker. */
  tellCarried: () => Promise<void>;
  /** Of the queue's own dead letter queue; undefined where it has none. */
  deadLetterUrl: () => Promise<string | undefined>;
};

/** The queue of this URL. */
export function sqsQueue(url: string, visibilitySeconds: number): SqsQueue {
  return {
    url,
    receive: async (WaitTimeSeconds, MaxNumberOfMessages) => {
      const input: ReceiveMessageCommandInput = {
        QueueUrl: url,
        MaxNumberOfMessages,
        WaitTimeSeconds,
        VisibilityTimeout: visibilitySeconds,
        MessageSystemAttributeNames: ["ApproximateReceiveCount"],
      };
      return (await receiveMessages(input, CALL_MS + WaitTimeSeconds * 1000)).Messages ?? [];
    },
    hold: async (messages, VisibilityTimeout) => {
      const Entries = entriesOf(messages).map((entry) => ({ ...entry, VisibilityTimeout }));
      await sqs.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: url, Entries }), deadline(CALL_MS));
    },
    remove: async (messages) => {
      const { Failed = [] } = await deleteMessages({ QueueUrl: url, Entries: entriesOf(messages) }, CALL_MS);
      const again = Failed.filter((failed) => !isOver(failed)).map(({ Id }) => messages[Number(Id)]);
      return again.filter((message) => message !== undefined);
    },
    tellCarried: async () => {
      await sqs.send(new TagQueueCommand({ QueueUrl: url, Tags: { [CARRIED_TAG]: "rabbitmq" } }), deadline(CALL_MS));
    },
    deadLetterUrl: async () => await deadLetterUrl(sqs, url, CALL_MS),
  };
}

/** Rejects, saying why, where the queue cannot be reached. */
export async function checkQueue(QueueUrl: string, ms: number): Promise<void> {
  const command = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["QueueArn"] });
  await sqs.send(command, deadline(ms));
}

/** The queues whose names begin so, by what follows it in their names; dead letter queues are none. */
export async function listQueues(prefix: string): Promise<Record<string, string>> {
  const urls: string[] = [];
  let NextToken: string | undefined;
  do {
    const command = new ListQueuesCommand({ QueueNamePrefix: prefix, MaxResults: 1000, NextToken });
    const page = await sqs.send(command, deadline(CALL_MS));
    urls.push(...(page.QueueUrls ?? []));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  const named = urls.map((url) => [url.slice(url.lastIndexOf("/") + 1 + prefix.length), url] as const);
  return Object.fromEntries(named.filter(([name]) => name !== "" && !name.endsWith("-dlq")));
}

/** Whether a receipt has run out: the message comes again anyway. LocalStack calls nothing the sender's fault. */
function isOver({ SenderFault, Code = "" }: BatchResultErrorEntry): boolean {
  return SenderFault === true || Code.endsWith("ReceiptHandleIsInvalid");
}

function entriesOf(messages: Message[]): { Id: string; ReceiptHandle: string | undefined }[] {
  return messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
}
