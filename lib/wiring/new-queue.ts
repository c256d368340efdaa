import type { QueueSpec } from "../runtime/aws/create-queue.ts";

/** What the queues of agents have, those of the deployment (deploy/queues.ts) and those that are made for it. */
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

/**
 * The name of the queue of an agent whose definition names none; of another team than the default one it says the team, so
 * that it is no other agent's: names of agents have no capitals, those of teams no underscore.
 */
export function queueNameOf(prefix: string, agent: string, team?: string): string {
  return team === undefined ? `${prefix}-agent-${agent}` : `${prefix}-agent-TEAM-${team}_${agent}`;
}

/**
 * The command that makes a queue with its dead letter queue, for a shell that knows nothing but credentials: the region is that of
 * `beside`, the URL of another queue. It has no double quote and no backslash, so that it is the same inside JSON as outside.
 */
export function commandToMake(queueName: string, beside: string): string {
  const sqs = (verb: string, rest: string) => `aws sqs ${verb}${regionOf(beside)} ${rest}`;
  const made = `--attributes ${shorthand(DEAD_LETTER_ATTRIBUTES)} --query QueueUrl --output text`;
  const dead = sqs("create-queue", `--queue-name ${queueName}-dlq ${made}`);
  // The attributes as JSON, with the redrive policy as JSON in it, written by the query: a shell would need both kinds of quotes.
  const redrive = `to_string({deadLetterTargetArn:Attributes.QueueArn,maxReceiveCount:\`${MAX_RECEIVE_COUNT}\`})`;
  const plain = Object.entries(ATTRIBUTES).map(([name, value]) => `${name}:to_string(\`${value}\`)`);
  const query = `'to_string({${[...plain, `RedrivePolicy:${redrive}`].join(",")}})'`;
  const asked = `--attribute-names QueueArn --query ${query} --output text`;
  const attributes = sqs("get-queue-attributes", `--queue-url $(${dead}) ${asked}`);
  return sqs("create-queue", `--queue-name ${queueName} --attributes $(${attributes})`);
}

/** The command that shows the settings of a queue. */
export function commandToShow(queueUrl: string): string {
  return `aws sqs get-queue-attributes${regionOf(queueUrl)} --attribute-names All --queue-url ${queueUrl}`;
}

/** The option that says the region of a queue of AWS; nothing of another server's, whose URL does not say it. */
function regionOf(queueUrl: string): string {
  const region = /^https:\/\/(?:sqs\.)?([a-z0-9-]+)(?:\.queue)?\.amazonaws\.com/.exec(queueUrl)?.[1];
  return region === undefined ? "" : ` --region ${region}`;
}

/** As the AWS CLI takes plain attributes. */
function shorthand(attributes: Record<string, string>): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
}
