import { GetQueueAttributesCommand, GetQueueUrlCommand, type SQSClient } from "@aws-sdk/client-sqs";

/** What each client has been told: queue, as it was asked for, to the URL of its dead letters. */
const asked = new WeakMap<SQSClient, Map<string, Promise<string | undefined>>>();

/**
 * The URL of the dead letter queue that the redrive policy of `queue`, a URL or an ARN, names; undefined where it names none.
 * What a client has found is kept and not asked for again. Rejects where SQS refuses, or does not answer within `ms` milliseconds
 * a call.
 */
export async function deadLetterUrl(sqs: SQSClient, queue: string, ms: number): Promise<string | undefined> {
  const known = asked.get(sqs) ?? new Map<string, Promise<string | undefined>>();
  asked.set(sqs, known);
  const kept = known.get(queue);
  if (kept !== undefined) return await kept;
  const answer = ask(sqs, queue, ms);
  known.set(queue, answer);
  try {
    const url = await answer;
    if (url === undefined) known.delete(queue);
    return url;
  } catch (error) {
    known.delete(queue);
    throw error;
  }
}

async function ask(sqs: SQSClient, queue: string, ms: number): Promise<string | undefined> {
  const QueueUrl = queue.startsWith("arn:") ? await queueUrlOf(sqs, queue, ms) : queue;
  const command = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["RedrivePolicy"] });
  const { Attributes } = await sqs.send(command, { abortSignal: AbortSignal.timeout(ms) });
  const policy = JSON.parse(Attributes?.["RedrivePolicy"] ?? "{}") as { deadLetterTargetArn?: string };
  return policy.deadLetterTargetArn === undefined ? undefined : await queueUrlOf(sqs, policy.deadLetterTargetArn, ms);
}

/** The URL of the queue with this ARN. Rejects where there is none, or SQS does not answer within `ms` milliseconds. */
export async function queueUrlOf(sqs: SQSClient, arn: string, ms: number): Promise<string> {
  const [, , , , QueueOwnerAWSAccountId, QueueName] = arn.split(":");
  const command = new GetQueueUrlCommand({ QueueName, QueueOwnerAWSAccountId });
  const { QueueUrl } = await sqs.send(command, { abortSignal: AbortSignal.timeout(ms) });
  if (QueueUrl === undefined) throw new Error(`No queue has the ARN ${arn}.`);
  return QueueUrl;
}
