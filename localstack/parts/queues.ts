import type { SQSClient } from "@aws-sdk/client-sqs";
import { queues } from "../../deploy/queues.ts";
import { createQueue, type QueueSpec } from "../../lib/runtime/aws/create-queue.ts";

/** A queue of the deployment as it is made locally, and the name of the resource that a function's event refers to. */
export type LocalQueue = QueueSpec & { resource: string };

/** What the names of the queues begin with locally, whatever a stage's deployment calls its own. */
const PREFIX = "waybill";

/** The queues of the deployment that somebody consumes, each with its dead letter queue. */
export function queuesOf(): LocalQueue[] {
  return queues.map(({ resource, name, attributes, maxReceiveCount, deadLetters }) => ({
    resource: `${resource}Queue`,
    name: `${PREFIX}-${name}`,
    attributes,
    maxReceiveCount,
    deadLetters: { ...deadLetters, name: `${PREFIX}-${deadLetters.name}` },
  }));
}

const AGENT_QUEUE = `${PREFIX}-agent-`;

/** The agents that ship with Waybill; each has a queue of its own. */
export const AGENTS: string[] = queues.flatMap(({ agent }) => agent ?? []);

/** Creates the queues (again, where they exist) and answers the environment that names them to the functions. */
export async function createQueues(sqs: SQSClient, prefix = ""): Promise<Record<string, string>> {
  const made = queuesOf().map(
    async (queue) => [queue.name, await createQueue(sqs, withPrefix(prefix, queue))] as const,
  );
  const urls = Object.fromEntries(await Promise.all(made));
  return {
    WORK_QUEUE_URL: urls[`${PREFIX}-work`] ?? "",
    RESULTS_QUEUE_URL: urls[`${PREFIX}-results`] ?? "",
    AGENT_QUEUES: JSON.stringify(Object.fromEntries(AGENTS.map((agent) => [agent, urls[AGENT_QUEUE + agent]]))),
  };
}

function withPrefix(prefix: string, queue: QueueSpec): QueueSpec {
  const deadLetters = { ...queue.deadLetters, name: prefix + queue.deadLetters.name };
  return { ...queue, name: prefix + queue.name, deadLetters };
}
