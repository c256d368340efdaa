import { commandToMake, commandToShow } from "./new-queue.ts";

// What is told of messages that a queue will not have: in held_up of their work, in GET /health, and in the row of the outbox.

/** What SQS answers for good, as against being busy, away, or not knowing our credentials yet: somebody must mend the queue or a right. */
const FOR_GOOD = /DoesNotExist|NonExistent|AccessDenied|InvalidAddress|^Kms/;

/** Why a queue takes nothing, with what to do; undefined where that may pass by itself, or nothing is wrong. */
export function refusalOf(queueUrl: string, error: unknown): string | undefined {
  const { name = "", message = "" } = (error ?? {}) as Partial<Error>;
  if (!FOR_GOOD.test(name)) return undefined;
  return isMissing(error) ? missing(queueUrl) : refusedBy(queueUrl, `${name} ${message}`);
}

/** Whether SQS says that there is no such queue. */
export function isMissing(error: unknown): boolean {
  return /DoesNotExist|NonExistent/.test((error as Partial<Error> | undefined)?.name ?? "");
}

function missing(queueUrl: string): string {
  const queue = nameOf(queueUrl);
  return `its queue ${queue} does not exist. Make it, and what waits is sent within ten minutes: ${commandToMake(queue, queueUrl)}`;
}

/** What is told of a message that its queue refuses by itself. */
export function refusedBy(queueUrl: string, said: string): string {
  const queue = nameOf(queueUrl);
  return `its queue ${queue} refuses the message: ${said.slice(0, 300)}. See its settings: ${commandToShow(queueUrl)}`;
}

/** What is told of a message to an agent without a queue. */
export function noQueueOf(agent: string): string {
  return `it has no queue. GET /agents/${agent} says how to make one.`;
}

function nameOf(queueUrl: string): string {
  return queueUrl.slice(queueUrl.lastIndexOf("/") + 1);
}
