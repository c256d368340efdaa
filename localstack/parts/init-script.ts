import { readFileSync } from "node:fs";
import { queuesOf } from "./queues.ts";

/** The secret with the database's password, as docker-compose.yml names it to the functions. */
const DATABASE_SECRET = "waybill-database";

const HEAD = `#!/bin/bash
# Generated from serverless.yml and llm.config.yaml by npm run generate; do not edit.
# LocalStack runs this when it is ready. It makes what the deployment finds on AWS: the queues, each with its dead letter
# queue, and the secrets, from LocalStack's own environment. A secret without a value is left out. It may run again: queues
# that are there stay as they are, with their messages, and secrets get the value of the environment.
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

# secret NAME VALUE
secret() {
  [ -n "$2" ] || return 0
  if awslocal secretsmanager describe-secret --secret-id "$1" > /dev/null 2>&1; then
    awslocal secretsmanager put-secret-value --secret-id "$1" --secret-string "$2"
  else
    awslocal secretsmanager create-secret --name "$1" --secret-string "$2"
  fi
}
`;

/** The script that makes serverless.yml's queues, and the secrets, in LocalStack; `npm run generate` writes it. */
export function initScript(): string {
  const queues = queuesOf().map(
    ({ name, attributes, maxReceiveCount, deadLetters }) =>
      `queue ${name} ${quoted(attributes)} ${maxReceiveCount} \\\n  ${deadLetters.name} ${quoted(deadLetters.attributes)}`,
  );
  const secrets = [["POSTGRES_PASSWORD", DATABASE_SECRET] as const, ...vendorKeys()].map(
    ([variable, name]) => `secret ${name} "\${${variable}:-}"`,
  );
  return `${[HEAD, ...queues, "", ...secrets].join("\n")}\n`;
}

/** JSON without its braces, in single quotes: the names and values of attributes have neither quotes nor spaces. */
function quoted(attributes: Record<string, string>): string {
  return `'${JSON.stringify(attributes).slice(1, -1)}'`;
}

/** The vendors' keys of llm.config.yaml that may be in a secret: the variable that goes first, and the secret's name. */
function vendorKeys(): [variable: string, secret: string][] {
  const config = readFileSync(new URL("../../llm.config.yaml", import.meta.url), "utf8");
  const keys = config.matchAll(/\$\{env:(\w+)\|secret:([\w/-]+)\}/g);
  return [...keys].map(([, variable = "", secret = ""]) => [variable, secret]);
}
