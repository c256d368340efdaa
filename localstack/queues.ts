import { CreateQueueCommand, GetQueueAttributesCommand, type SQSClient } from "@aws-sdk/client-sqs";

/** The agents that ship with Waybill; each has a queue of its own. */
export const AGENTS = ["infra", "desktop", "code", "research"];

export type LocalQueue = { name: string; visibilitySeconds: number; maxReceiveCount: number };

/** The queues of the deployment; each has a dead letter queue of the same name with -dlq. */
export function queuesOf(): LocalQueue[] {
  return [
    { name: "waybill-work", visibilitySeconds: 180, maxReceiveCount: 5 },
    { name: "waybill-results", visibilitySeconds: 180, maxReceiveCount: 5 },
    ...AGENTS.map((agent) => ({ name: `waybill-agent-${agent}`, visibilitySeconds: 120, maxReceiveCount: 5 })),
  ];
}

/** Creates the queues (again, where they exist) and answers the environment that names them to the functions. */
export async function createQueues(sqs: SQSClient, prefix = ""): Promise<Record<string, string>> {
  const urls: Record<string, string> = {};
  for (const queue of queuesOf()) {
    const dlq = await create(sqs, `${prefix}${queue.name}-dlq`, { MessageRetentionPeriod: "1209600" });
    const attributes = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: dlq, AttributeNames: ["QueueArn"] }));
    urls[queue.name] = await create(sqs, prefix + queue.name, {
      VisibilityTimeout: String(queue.visibilitySeconds),
      RedrivePolicy: JSON.stringify({
        deadLetterTargetArn: attributes.Attributes?.["QueueArn"],
        maxReceiveCount: queue.maxReceiveCount,
      }),
    });
  }
  return {
    WORK_QUEUE_URL: urls["waybill-work"] ?? "",
    RESULTS_QUEUE_URL: urls["waybill-results"] ?? "",
    AGENT_QUEUES: JSON.stringify(Object.fromEntries(AGENTS.map((agent) => [agent, urls[`waybill-agent-${agent}`]]))),
  };
}

async function create(sqs: SQSClient, QueueName: string, Attributes: Record<string, string>): Promise<string> {
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName, Attributes }));
  if (QueueUrl === undefined) throw new Error(`The queue ${QueueName} was not made.`);
  return QueueUrl;
}
