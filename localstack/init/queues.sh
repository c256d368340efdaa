#!/bin/bash
# LocalStack runs this when it is ready. It makes what serverless.yml makes on AWS: the queues, each with its dead letter
# queue, and the secret with the database's password. tests/deploy/localstack-init.test.ts compares the two.
set -euo pipefail

# queue NAME VISIBILITY_SECONDS MAX_RECEIVE_COUNT
queue() {
  local dead_letters arn redrive
  dead_letters=$(awslocal sqs create-queue --queue-name "$1-dlq" \
    --attributes MessageRetentionPeriod=1209600 --query QueueUrl --output text)
  arn=$(awslocal sqs get-queue-attributes --queue-url "$dead_letters" \
    --attribute-names QueueArn --query Attributes.QueueArn --output text)
  # RedrivePolicy is JSON in a string of JSON.
  redrive="{\\\"deadLetterTargetArn\\\":\\\"$arn\\\",\\\"maxReceiveCount\\\":$3}"
  awslocal sqs create-queue --queue-name "$1" \
    --attributes "{\"VisibilityTimeout\":\"$2\",\"RedrivePolicy\":\"$redrive\"}"
}

queue waybill-work 180 5
queue waybill-results 180 5
queue waybill-agent-infra 120 5
queue waybill-agent-desktop 120 5
queue waybill-agent-code 120 5
queue waybill-agent-research 120 5

awslocal secretsmanager create-secret --name waybill-database --secret-string "$POSTGRES_PASSWORD"
