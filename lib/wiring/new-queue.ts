import type { QueueSpec } from "../runtime/aws/create-queue.ts";

/** What the queues of the agents that ship have; serverless.yml says the same. */
const COMMON = { MaximumMessageSize: "1048576", SqsManagedSseEnabled: "true" };
export const ATTRIBUTES = { ...COMMON, ReceiveMessageWaitTimeSeconds: "20", VisibilityTimeout: "120" };
export const DEAD_LETTER_ATTRIBUTES = { ...COMMON, MessageRetentionPeriod: "1209600" };
export const MAX_RECEIVE_COUNT = 5;

/** A queue of an agent, with its dead letter queue, as we make it. */
export function specOf(queueName: string): QueueSpec {
  return {
    name: queueName,
    attributes: ATTRIBUTES,
    maxReceiveCount: MAX_RECEIVE_COUNT,
    deadLetters: { name: `${queueName}-dlq`, attributes: DEAD_LETTER_ATTRIBUTES },
  };
}

/** The name of the queue of an agent whose definition names none. */
export function queueNameOf(prefix: string, agent: string): string {
  return `${prefix}-agent-${agent}`;
}

/** The commands that make a queue with its dead letter queue, for a shell. */
export function commandsToMake(queueName: string): string {
  const dlq = `aws sqs create-queue --queue-name ${queueName}-dlq --attributes ${shorthand(DEAD_LETTER_ATTRIBUTES)}`;
  const arn = `arn:aws:sqs:$(aws configure get region):$(aws sts get-caller-identity --query Account --output text):${queueName}-dlq`;
  const redrive = `{\\\\\\"deadLetterTargetArn\\\\\\":\\\\\\"${arn}\\\\\\",\\\\\\"maxReceiveCount\\\\\\":\\\\\\"${MAX_RECEIVE_COUNT}\\\\\\"}`;
  const quoted = Object.entries(ATTRIBUTES).map(([name, value]) => `\\"${name}\\":\\"${value}\\"`);
  const attributes = `{${quoted.join(",")},\\"RedrivePolicy\\":\\"${redrive}\\"}`;
  const main = `aws sqs create-queue --queue-name ${queueName} --attributes "${attributes}"`;
  return `${dlq} && ${main}`;
}

/** As the AWS CLI takes plain attributes. */
function shorthand(attributes: Record<string, string>): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
}
