import { DEFAULT_TEAM } from "../access/actor.ts";
import { namedIn } from "../access/teams.ts";
import { CallerError, Unavailable } from "../errors.ts";
import type { AgentDefinition } from "../registry/definition.ts";
import type { AgentQueueSettings } from "../runtime/aws/queue-settings.ts";
import type { Queues } from "../runtime/aws/queues.ts";
import type { ControlPlane } from "./control-plane.ts";
import { commandToMake, queueNameOf, specOf } from "./new-queue.ts";

/** As SQS has it. */
const MAX_NAME_LENGTH = 80;
const PATIENCE_MS = 5_000;

/**
 * The queue of an agent: the URL that its definition gives, else the queue of that name or of PREFIX-agent-NAME, which is made where
 * AGENT_QUEUE_CREATE allows it. Null where there is none. Throws Unavailable where SQS does not answer.
 */
export async function queueFor(
  { db, settings, edges, log }: ControlPlane,
  teamId: string,
  definition: AgentDefinition,
): Promise<string | null> {
  const { create, prefix } = settings.agentQueues;
  refuseOthers(prefix, teamId, definition);
  if (definition.queue?.includes("://")) return definition.queue;
  const queueName = nameOf(prefix, definition, await namedIn(db, teamId));
  if (isTooLong(queueName)) return null;
  const { url, made } = await findOrMake(edges.queues, queueName, create).catch((cause: unknown) => {
    throw new Unavailable(`SQS did not answer for the queue ${queueName}.`, { cause });
  });
  if (made) log.info("agent queue made", { agent: definition.name, queue: queueName });
  return url;
}

/**
 * An agent takes what is on its queue for its own work: whoever names another team's queue would have that team's agent do it. So teams
 * name none but the default one, and that one none of theirs. Throws a CallerError, 400.
 */
function refuseOthers(prefix: string, teamId: string, { queue }: AgentDefinition): void {
  if (queue === undefined) return;
  const isOthers = teamId !== DEFAULT_TEAM || queue.includes(`${prefix}-agent-TEAM-`);
  if (!isOthers) return;
  const message = teamId === DEFAULT_TEAM ? "is the queue of another team's agent" : "is for the team default alone";
  const field = { field: "queue", message: `${message}; leave it out: the agent has a queue of its own` };
  throw new CallerError(400, "invalid_definition", `The definition's queue ${field.message}.`, { fields: [field] });
}

async function findOrMake(
  queues: Queues,
  name: string,
  mayMake: boolean,
): Promise<{ url: string | null; made: boolean }> {
  const found = await queues.find(name, PATIENCE_MS);
  if (found !== undefined || !mayMake) return { url: found ?? null, made: false };
  return { url: await queues.create(specOf(name)), made: true };
}

function nameOf(prefix: string, { name, queue }: AgentDefinition, team?: string): string {
  return queue ?? queueNameOf(prefix, name, team);
}

/** Whether SQS takes no such name, or none of its dead letter queue. */
function isTooLong(queueName: string): boolean {
  return queueName.length > MAX_NAME_LENGTH - "-dlq".length;
}

/**
 * What to do about an agent that has no queue: the command that makes it, where the results queue is. `team`: whose it is, where that is not
 * the default one.
 */
export function howToCreate(
  { prefix }: AgentQueueSettings,
  resultsUrl: string,
  definition: AgentDefinition,
  team: string | undefined,
): string {
  const queueName = nameOf(prefix, definition, team);
  if (isTooLong(queueName)) {
    const shorter =
      team === undefined ? "Give the definition a queue of a shorter name." : "Give the agent a shorter name.";
    return `The name ${queueName} is too long for SQS with its -dlq. ${shorter}`;
  }
  return `There is no queue ${queueName}. Make it and PUT the definition again: ${commandToMake(queueName, resultsUrl)}`;
}
