import { queuesOf } from "./queues.ts";

const HEAD = `#!/bin/bash
# Generated from deploy/queues.ts by npm run generate; do not edit.
# LocalStack runs this when it is ready. It makes what the deployment finds on AWS: the queues, each with its dead letter
# queue. It may run again: queues that are there stay as they are, with their messages.
set -euo pipefail

# queue NAME ATTRIBUTES MAX_RECEIVE_COUNT, DEAD_LETTERS_NAME ATTRIBUTES
queue() {
  local dead_letters arn redrive
  dead_letters=$(awslocal sqs create-queue --queue-name "$4" --attributes "{$5}" --query QueueUrl --output text)
  arn=$(awslocal sqs get-queue-attributes --queue-url "$dead_letters" \\
    --attribute-names QueueArn --query Attributes.QueueArn --output text)
  # RedrivePolicy is JSON in a string of JSON.
  redrive="{\\\\\\"deadLetterTargetArn\\\\\\":\\\\\\"$arn\\\\\\",\\\\\\"maxReceiveCount\\\\\\":$3}"
  awslocal sqs create-queue --queue-name "$1" --attributes "{$2,\\"RedrivePolicy\\":\\"$redrive\\"}"
}
`;

/** The script that makes the deployment's queues in LocalStack; `npm run generate` writes it. */
export function initScript(): string {
  const queues = queuesOf().map(
    ({ name, attributes, maxReceiveCount, deadLetters }) =>
      `queue ${name} ${quoted(attributes)} ${maxReceiveCount} \\\n  ${deadLetters.name} ${quoted(deadLetters.attributes)}`,
  );
  return `${[HEAD, ...queues].join("\n")}\n`;
}

/** JSON without its braces, in single quotes: the names and values of attributes have neither quotes nor spaces. */
function quoted(attributes: Record<string, string>): string {
  return `'${JSON.stringify(attributes).slice(1, -1)}'`;
}
