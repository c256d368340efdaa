import type { QueueSpec } from "../lib/runtime/aws/create-queue.ts";
import { ATTRIBUTES, DEAD_LETTER_ATTRIBUTES, MAX_RECEIVE_COUNT } from "../lib/wiring/new-queue.ts";
import { AGENTS } from "./agents.ts";
import { attributeOf, policy } from "./cloudformation.ts";

/** A queue of the deployment with its dead letter queue; the names follow the stage's prefix and a dash. */
export type Queue = QueueSpec & {
  /** What its resource is called before `Queue` and `DeadLetters`. */
  resource: string;
  /** The agent that takes from it; undefined where a function does. */
  agent?: string;
  /** How long its oldest message may wait before a person is told. */
  oldestSeconds: number;
};

/**
 * The queues of functions. A message stays invisible for six times the function's timeout, as Lambda asks. Functions bury what can never
 * be taken in themselves, with its reason; a thousand deliveries, the most that SQS counts, outlast any outage of the database
 * (lib/wiring/failures.ts), and end a message under which the function itself dies.
 */
const OURS = { attributes: { ...ATTRIBUTES, VisibilityTimeout: "180" }, maxReceiveCount: 1000, oldestSeconds: 300 };
/** The queues of agents, which prolong the time for which a message is theirs while they work. */
const OF_AGENTS = { attributes: ATTRIBUTES, maxReceiveCount: MAX_RECEIVE_COUNT, oldestSeconds: 900 };

/** Every queue of the deployment; the local stack makes the same. */
export const queues: readonly Queue[] = [
  { resource: "Work", name: "work", deadLetters: deadLettersOf("work"), ...OURS },
  { resource: "Results", name: "results", deadLetters: deadLettersOf("results"), ...OURS },
  ...AGENTS.map((agent) => {
    const name = `agent-${agent}`;
    return { resource: resourceOf(agent), name, agent, deadLetters: deadLettersOf(name), ...OF_AGENTS };
  }),
];

/** How an agent's resources begin: code-review has CodeReviewQueue. */
export function resourceOf(agent: string): string {
  return agent.replaceAll(/(?:^|-)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function deadLettersOf(name: string) {
  return { name: `${name}-dlq`, attributes: DEAD_LETTER_ATTRIBUTES };
}

/** A policy for every queue and every dead letter queue, which refuses whoever does not speak TLS: CloudFormation's resources by name. */
export function onlyOverTls(): Record<string, object> {
  const names = queues.flatMap(({ resource }) => [`${resource}Queue`, `${resource}DeadLetters`]);
  return Object.fromEntries(names.map((queue) => [`${queue}Policy`, refusePlain(queue)]));
}

function refusePlain(queue: string): object {
  const refuse = {
    Effect: "Deny",
    Principal: "*",
    Action: "sqs:*",
    Resource: attributeOf(queue),
    Condition: { Bool: { "aws:SecureTransport": "false" } },
  };
  return { Type: "AWS::SQS::QueuePolicy", Properties: { Queues: [{ Ref: queue }], PolicyDocument: policy([refuse]) } };
}
