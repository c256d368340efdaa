import { findQueueUrls } from "../registry/queues.ts";
import { type Queues, readQueues } from "../runtime/aws/queue-env.ts";
import { sendAll } from "../runtime/aws/sqs.ts";
import { uuidv7 } from "../runtime/ids.ts";
import { log } from "../runtime/log.ts";
import type { Db } from "../runtime/postgres/db.ts";
import { type Stamp, wakeUp } from "../work/core/messages.ts";
import type { Send } from "../work/core/outbox.ts";

/** What the entry points share: how the domain's messages leave by the queues of this deployment. */
export const queues: Queues = readQueues();

/** The agents whose queue the environment names. */
export const agents: string[] = Object.keys(queues.agents);

/** Ids and times for messages of ours. */
export const stamp: Stamp = { newId: () => uuidv7(), now: () => new Date() };

/**
 * Sends messages to agents and answers the ids that the queues have taken; the outbox still has the others. An agent's queue is
 * the one that AGENT_QUEUES names, else the one of its definition.
 */
export function sendThrough(db: Db): Send {
  return async (messages) => {
    const others = messages.map(({ toAgent }) => toAgent).filter((agent) => queues.agents[agent] === undefined);
    const defined = others.length === 0 ? {} : await findQueueUrls(db, [...new Set(others)]);
    const { sent, error } = await sendAll(
      messages.flatMap(({ id, body, toAgent }) => {
        const queueUrl = queues.agents[toAgent] ?? defined[toAgent];
        return queueUrl === undefined ? [] : [{ id, body, queueUrl }];
      }),
    );
    if (sent.length < messages.length) {
      log.warn("messages kept for the sweep", { sent: sent.length, of: messages.length, error });
    }
    return sent;
  };
}

/** Wakes the dispatcher for whatever waits now that an agent has room, or will have it then. */
export async function wakeForNext(readyAt?: Date): Promise<void> {
  const id = stamp.newId();
  await wake({ taskId: id, traceId: id, runId: id, attempt: 0, ...(readyAt === undefined ? {} : { readyAt }) });
}

/** The longest that SQS delays a message, in seconds. */
const MAX_DELAY_SECONDS = 900;

/**
 * Wakes the dispatcher for approved work, when it is ready where that is within 15 minutes. Only a hint: where it cannot be sent
 * the minute's sweep finds the work.
 */
export async function wake(work: {
  taskId: string;
  traceId: string;
  runId: string;
  attempt: number;
  readyAt?: Date | null;
}): Promise<void> {
  const delaySeconds = Math.ceil(Math.max(0, (work.readyAt?.getTime() ?? 0) - Date.now()) / 1000);
  if (delaySeconds > MAX_DELAY_SECONDS) return;
  const hint = wakeUp({ ...work, toAgent: "" }, stamp);
  const { error } = await sendAll([{ ...hint, queueUrl: queues.work, delaySeconds }]);
  if (error !== undefined) log.warn("wake-up not sent", { trace_id: work.traceId, task_id: work.taskId, error });
}
