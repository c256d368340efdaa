import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  SetQueueAttributesCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";

/** The attributes of a queue as SQS takes them: name to text. */
export type Attributes = Record<string, string>;

/** A queue with its dead letter queue. */
export type QueueSpec = {
  name: string;
  /** All but the redrive policy, which needs the ARN of the dead letter queue. */
  attributes: Attributes;
  maxReceiveCount: number;
  deadLetters: { name: string; attributes: Attributes };
};

/** Makes a queue and its dead letter queue, or gives those that are there these attributes; answers the queue's URL. */
export async function createQueue(sqs: SQSClient, spec: QueueSpec): Promise<string> {
  const { deadLetters, maxReceiveCount } = spec;
  const dlq = await create(sqs, deadLetters.name, deadLetters.attributes);
  const found = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: dlq, AttributeNames: ["QueueArn"] }));
  const deadLetterTargetArn = found.Attributes?.["QueueArn"];
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn, maxReceiveCount });
  return await create(sqs, spec.name, { ...spec.attributes, RedrivePolicy });
}

async function create(sqs: SQSClient, QueueName: string, Attributes: Attributes): Promise<string> {
  try {
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName, Attributes }));
    if (QueueUrl === undefined) throw new Error(`The queue ${QueueName} was not made.`);
    return QueueUrl;
  } catch (error) {
    if (!/QueueNameExists|QueueAlreadyExists/.test((error as Error).name)) throw error;
    const { QueueUrl = "" } = await sqs.send(new GetQueueUrlCommand({ QueueName }));
    await sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes }));
    return QueueUrl;
  }
}

/** The URL of a queue by its name; undefined where there is none, or none that we may see. */
export async function findQueue(sqs: SQSClient, QueueName: string, patienceMs: number): Promise<string | undefined> {
  const command = new GetQueueUrlCommand({ QueueName });
  try {
    return (await sqs.send(command, { abortSignal: AbortSignal.timeout(patienceMs) })).QueueUrl;
  } catch (error) {
    if (/NonExistent|DoesNotExist|AccessDenied/.test((error as Error).name)) return undefined;
    throw error;
  }
}
