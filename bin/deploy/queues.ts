import { GetQueueAttributesCommand, GetQueueUrlCommand, SQSClient } from "@aws-sdk/client-sqs";
import { Failed } from "../../lib/terminal/command.ts";

/** How many messages lie in a queue, are in somebody's hands or are delayed; undefined where SQS does not say. */
async function messagesIn(region: string, queue: string): Promise<number | undefined> {
  const sqs = new SQSClient({ region, useQueueUrlAsEndpoint: false });
  try {
    const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: queue }));
    const { Attributes = {} } = await sqs.send(
      new GetQueueAttributesCommand({
        QueueUrl,
        AttributeNames: [
          "ApproximateNumberOfMessages",
          "ApproximateNumberOfMessagesNotVisible",
          "ApproximateNumberOfMessagesDelayed",
        ],
      }),
    );
    return Object.values(Attributes).reduce((sum, count) => sum + Number(count), 0);
  } catch (error) {
    return /NonExistent|DoesNotExist/.test((error as Error).name) ? 0 : undefined;
  }
}

/** Of these queues those that hold messages, or of which SQS does not say so, as lines. */
export async function tellMessages(region: string, queues: readonly string[]): Promise<string[]> {
  const counts = await Promise.all(queues.map(async (queue) => ({ queue, count: await messagesIn(region, queue) })));
  return counts
    .filter(({ count }) => count !== 0)
    .map(({ queue, count }) => `  ${queue}: ${count === undefined ? "unknown" : `about ${count}`} messages`);
}

/**
 * Says which queues go, and what lies in them. Throws Failed where that is something, or cannot be told, and nobody has given it up;
 * `again` is the command that does.
 */
export async function refuseLoss(
  region: string,
  queues: readonly string[],
  yes: boolean,
  again: string,
): Promise<void> {
  if (queues.length > 0) console.log(`\nThese queues go: ${queues.join(", ")}`);
  const lines = await tellMessages(region, queues);
  if (lines.length === 0) return;
  console.log(lines.join("\n"));
  if (!yes) throw new Failed(`What lies in them would be lost. Let them run empty, or give it up: ${again}`);
}
