import { readFileSync } from "node:fs";
import type { SQSClient } from "@aws-sdk/client-sqs";
import { parse, type ScalarTag } from "yaml";
import * as z from "zod";
import { createQueue, type QueueSpec } from "../../lib/runtime/aws/create-queue.ts";

/** A queue of serverless.yml as it is made locally, and the name of the resource that a function's event refers to. */
export type LocalQueue = QueueSpec & { resource: string };

/** What the names of the queues begin with locally, whatever a stage's deployment calls its own. */
const PREFIX = "waybill";

// CloudFormation's short forms are read as the name that they point to: !GetAtt WorkQueue.Arn as "WorkQueue.Arn".
const customTags: ScalarTag[] = ["!Ref", "!GetAtt", "!Sub"].map((tag) => ({ tag, resolve: (text: string) => text }));

const Queue = z.object({
  Properties: z
    .object({
      QueueName: z.string().transform((name) => name.replace(`\${param:prefix}`, PREFIX)),
      RedrivePolicy: z.object({ deadLetterTargetArn: z.string(), maxReceiveCount: z.int() }).optional(),
    })
    .catchall(z.union([z.int(), z.boolean(), z.string()]).transform(String)),
});

const Service = z.object({
  resources: z.array(z.object({ Resources: z.record(z.string(), z.unknown()) }).or(z.string())),
});

/** The queues of serverless.yml that somebody consumes, each with its dead letter queue. Throws naming one that has none. */
export function queuesOf(): LocalQueue[] {
  const text = readFileSync(new URL("../../serverless.yml", import.meta.url), "utf8");
  const { resources } = Service.parse(parse(text, { merge: true, customTags, logLevel: "error" }));
  const all = resources
    .flatMap((part) => (typeof part === "string" ? [] : Object.entries(part.Resources)))
    .filter(([, definition]) => (definition as { Type?: string }).Type === "AWS::SQS::Queue")
    .map(([resource, definition]) => {
      const { QueueName, RedrivePolicy, ...attributes } = Queue.parse(definition).Properties;
      return { resource, name: QueueName, redrive: RedrivePolicy, attributes };
    });
  const targets = new Map(all.map((queue) => [`${queue.resource}.Arn`, queue]));
  const buried = new Set(all.map((queue) => queue.redrive?.deadLetterTargetArn));
  return all
    .filter((queue) => !buried.has(`${queue.resource}.Arn`))
    .map(({ resource, name, attributes, redrive }) => {
      const dead = targets.get(redrive?.deadLetterTargetArn ?? "");
      if (redrive === undefined || dead === undefined) {
        throw new Error(`${resource} has no dead letter queue. Give it a RedrivePolicy in serverless.yml.`);
      }
      const deadLetters = { name: dead.name, attributes: dead.attributes };
      return { resource, name, attributes, maxReceiveCount: redrive.maxReceiveCount, deadLetters };
    });
}

const AGENT_QUEUE = `${PREFIX}-agent-`;

/** The agents that ship with Waybill; each has a queue of its own. */
export const AGENTS: string[] = queuesOf()
  .filter(({ name }) => name.startsWith(AGENT_QUEUE))
  .map(({ name }) => name.slice(AGENT_QUEUE.length));

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
