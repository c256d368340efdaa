import { GetQueueAttributesCommand, GetQueueUrlCommand, SQSClient } from "@aws-sdk/client-sqs";

/** How many messages lie in a queue, are in somebody's hands or are delayed; undefined where SQS does not say. */
export async function messagesIn(region: string, queue: string): Promise<number | undefined> {
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
