#!/bin/bash
# Generated from serverless.yml by npm run generate; do not edit.
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

queue waybill-work '"SqsManagedSseEnabled":"true","MaximumMessageSize":"1048576","ReceiveMessageWaitTimeSeconds":"20","VisibilityTimeout":"180"' 1000 \
  waybill-work-dlq '"SqsManagedSseEnabled":"true","MaximumMessageSize":"1048576","MessageRetentionPeriod":"1209600"'
queue waybill-results '"SqsManagedSseEnabled":"true","MaximumMessageSize":"1048576","ReceiveMessageWaitTimeSeconds":"20","VisibilityTimeout":"180"' 1000 \
  waybill-results-dlq '"SqsManagedSseEnabled":"true","MaximumMessageSize":"1048576","MessageRetentionPeriod":"1209600"'
queue waybill-agent-infra '"SqsManagedSseEnabled":"true","MaximumMessageSize":"1048576","ReceiveMessageWaitTimeSeconds":"20","VisibilityTimeout":"120"' 5 \
  waybill-agent-infra-dlq '"SqsManagedSseEnabled":"true","MaximumMessageSize":"1048576","MessageRetentionPeriod":"1209600"'
queue waybill-agent-desktop '"SqsManagedSseEnabled":"true","MaximumMessageSize":"1048576","ReceiveMessageWaitTimeSeconds":"20","VisibilityTimeout":"120"' 5 \
  waybill-agent-desktop-dlq '"SqsManagedSseEnabled":"true","MaximumMessageSize":"1048576","MessageRetentionPeriod":"1209600"'
queue waybill-agent-code '"SqsManagedSseEnabled":"true","MaximumMessageSize":"1048576","ReceiveMessageWaitTimeSeconds":"20","VisibilityTimeout":"120"' 5 \
  waybill-agent-code-dlq '"SqsManagedSseEnabled":"true","MaximumMessageSize":"1048576","MessageRetentionPeriod":"1209600"'
queue waybill-agent-research '"SqsManagedSseEnabled":"true","MaximumMessageSize":"1048576","ReceiveMessageWaitTimeSeconds":"20","VisibilityTimeout":"120"' 5 \
  waybill-agent-research-dlq '"SqsManagedSseEnabled":"true","MaximumMessageSize":"1048576","MessageRetentionPeriod":"1209600"'
