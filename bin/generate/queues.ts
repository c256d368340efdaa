import { arnHere, attributeOf } from "../../deploy/cloudformation.ts";
import { type Queue, queues } from "../../deploy/queues.ts";
import { yaml } from "./template.ts";

/** deploy/queues.yml: every queue with its dead letter queue, and the alarms on both. */
export function queuesYaml(): string {
  return yaml("The queues, with their dead letter queues and their alarms.", "deploy/queues.ts and deploy/agents.ts", {
    Resources: Object.assign({}, ...queues.map(resourcesOf)) as object,
    Outputs: Object.assign({}, ...queues.map(outputsOf)) as object,
  });
}

function resourcesOf({ resource, name, attributes, maxReceiveCount, deadLetters, oldestSeconds }: Queue): object {
  const [queue, dead] = [`${resource}Queue`, `${resource}DeadLetters`];
  return {
    [queue]: {
      Type: "AWS::SQS::Queue",
      Properties: {
        ...typed(attributes),
        QueueName: prefixed(name),
        RedrivePolicy: { deadLetterTargetArn: attributeOf(dead), maxReceiveCount },
      },
    },
    [dead]: {
      Type: "AWS::SQS::Queue",
      Properties: {
        ...typed(deadLetters.attributes),
        QueueName: prefixed(deadLetters.name),
        // By its name: the two would have to wait for each other.
        RedriveAllowPolicy: { redrivePermission: "byQueue", sourceQueueArns: [arnHere("sqs", prefixed(name))] },
      },
    },
    [`${dead}Alarm`]: alarm(dead, {
      AlarmDescription: "Messages lie in a dead letter queue.",
      MetricName: "ApproximateNumberOfMessagesVisible",
      EvaluationPeriods: 1,
      Threshold: 0,
    }),
    // Work waits longer than it should: dispatch or record-result does not keep up, or an agent is not there.
    [`${queue}AgeAlarm`]: alarm(queue, {
      AlarmDescription: "The oldest message of a queue has waited too long.",
      MetricName: "ApproximateAgeOfOldestMessage",
      EvaluationPeriods: 3,
      Threshold: oldestSeconds,
    }),
  };
}

function prefixed(name: string): string {
  return `\${param:prefix}-${name}`;
}

function outputsOf({ resource }: Queue): object {
  return {
    [`${resource}QueueUrl`]: { Value: { Ref: `${resource}Queue` } },
    [`${resource}DeadLettersUrl`]: { Value: { Ref: `${resource}DeadLetters` } },
  };
}

function alarm(queue: string, of: object): object {
  const tell = [{ Ref: "AlarmTopic" }];
  return {
    Type: "AWS::CloudWatch::Alarm",
    Properties: {
      ...of,
      Namespace: "AWS/SQS",
      Statistic: "Maximum",
      Period: 60,
      ComparisonOperator: "GreaterThanThreshold",
      TreatMissingData: "notBreaching",
      AlarmActions: tell,
      OKActions: tell,
      Dimensions: [{ Name: "QueueName", Value: attributeOf(queue, "QueueName") }],
    },
  };
}

/** What SQS takes as text, as CloudFormation has it. */
function typed(attributes: Record<string, string>): object {
  return Object.fromEntries(Object.entries(attributes).map(([name, text]) => [name, JSON.parse(text) as unknown]));
}
