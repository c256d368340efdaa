#!/bin/bash
# Generated from deploy/queues.ts by npm run generate; do not edit.
# LocalStack runs this when it is ready. It makes what the deployment finds on AWS: the queues, each with its dead letter
# queue. It may run again: queues that are there stay as they are, with their messages.
set -euo pipefail

# queue NAME ATTRIBUTES MAX_RECEIVE_COUNT, DEAD_LETTERS_NAME ATTRIBUTES
queue() {
  local dead_letters arn redrive
  dead_letters=$(awslocal sqs create-queue --queue-name "$4" --attributes "{$5}" --query QueueUrl --output text)
  arn=$(awslocal sqs get-queue-attributes --queue-url "$dead_letters" \
    --attribute-names QueueArn --query Attributes.QueueArn --output text)
  # RedrivePolicy is JSON in a string of JSON.
  redrive="{\\\"deadLetterTargetArn\\\":\\\"$arn\\\",\\\"maxReceiveCount\\\":$3}"
  awslocal sqs create-queue --queue-name "$1" --attributes "{$2,\"RedrivePolicy\":\"$redrive\"}"
}

queue waybill-work '"MaximumMessageSize":"1048576","SqsManagedSseEnabled":"true","ReceiveMessageWaitTimeSeconds":"20","VisibilityTimeout":"180"' 1000 \
  waybill-work-dlq '"MaximumMessageSize":"1048576","SqsManagedSseEnabled":"true","MessageRetentionPeriod":"1209600"'
queue waybill-results '"MaximumMessageSize":"1048576","SqsManagedSseEnabled":"true","ReceiveMessageWaitTimeSeconds":"20","VisibilityTimeout":"180"' 1000 \
  waybill-results-dlq '"MaximumMessageSize":"1048576","SqsManagedSseEnabled":"true","MessageRetentionPeriod":"1209600"'
queue waybill-agent-infra '"MaximumMessageSize":"1048576","SqsManagedSseEnabled":"true","ReceiveMessageWaitTimeSeconds":"20","VisibilityTimeout":"120"' 5 \
  waybill-agent-infra-dlq '"MaximumMessageSize":"1048576","SqsManagedSseEnabled":"true","MessageRetentionPeriod":"1209600"'
queue waybill-agent-desktop '"MaximumMessageSize":"1048576","SqsManagedSseEnabled":"true","ReceiveMessageWaitTimeSeconds":"20","VisibilityTimeout":"120"' 5 \
  waybill-agent-desktop-dlq '"MaximumMessageSize":"1048576","SqsManagedSseEnabled":"true","MessageRetentionPeriod":"1209600"'
queue waybill-agent-code '"MaximumMessageSize":"1048576","SqsManagedSseEnabled":"true","ReceiveMessageWaitTimeSeconds":"20","VisibilityTimeout":"120"' 5 \
  waybill-agent-code-dlq '"MaximumMessageSize":"1048576","SqsManagedSseEnabled":"true","MessageRetentionPeriod":"1209600"'
queue waybill-agent-research '"MaximumMessageSize":"1048576","SqsManagedSseEnabled":"true","ReceiveMessageWaitTimeSeconds":"20","VisibilityTimeout":"120"' 5 \
  waybill-agent-research-dlq '"MaximumMessageSize":"1048576","SqsManagedSseEnabled":"true","MessageRetentionPeriod":"1209600"'
