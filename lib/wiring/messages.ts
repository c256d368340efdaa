import { DEFAULT_TEAM } from "../access/actor.ts";
import { namedIn } from "../access/teams.ts";
import { type Stamp, wakeUp } from "../work/core/messages.ts";
import type { Delivery, Outgoing, Send } from "../work/core/outbox.ts";
import type { Edges } from "./edges.ts";
import { queueNameOf, specOf } from "./new-queue.ts";
import { queueUrls } from "./queue-urls.ts";
import { isMissing, noQueueOf, refusalOf, refusedBy } from "./refusals.ts";
import type { PlaneSettings } from "./settings.ts";

/** What the work of which the dispatcher is told says of itself. */
type Ready = { taskId: string; traceId: string; runId: string; attempt: number; readyAt?: Date | null };

/** How messages of ours leave. */
export type Messages = {
  /**
   * Sends messages to agents and answers which the queues have taken and which they refuse; the outbox still has the others. An agent's
   * queue is the one that AGENT_QUEUES names, else the one of its definition, which is made again where AGENT_QUEUE_CREATE allows it
   * and it is not there any more.
   */
  send: Send;
  /**
   * Wakes the dispatcher for approved work, when it is ready where that is within 15 minutes. Only a hint: where it cannot be
   * sent the minute's sweep finds the work.
   */
  wake: (work: Ready) => Promise<void>;
  /** Wakes the dispatcher for whatever waits now that an agent has room, or will have it then. */
  wakeForNext: (readyAt?: Date) => Promise<void>;
};

/** The longest that SQS delays a message, in seconds. */
const MAX_DELAY_SECONDS = 900;

/** How messages leave over these edges and by the queues of this deployment. */
export function messagesOver({ db, queues, log, now }: Edges, settings: PlaneSettings, stamp: Stamp): Messages {
  const wake = async (work: Ready) => {
    const delaySeconds = Math.ceil(Math.max(0, (work.readyAt?.getTime() ?? 0) - now().getTime()) / 1000);
    if (delaySeconds > MAX_DELAY_SECONDS) return;
    const hint = wakeUp({ ...work, toAgent: "" }, stamp);
    const { error } = await queues.send([{ ...hint, queueUrl: settings.queues.work, delaySeconds }]);
    if (error !== undefined) log.warn("wake-up not sent", { trace_id: work.traceId, task_id: work.taskId, error });
  };
  /** An SQS that keeps nothing over a restart, as in containers, has lost the queues that we made in it. */
  const remade = async (url: string, to: Outgoing | undefined): Promise<boolean> => {
    const { create, prefix } = settings.agentQueues;
    if (!create || to === undefined) return false;
    const { toAgent: agent, teamId } = to;
    if (teamId === DEFAULT_TEAM && settings.queues.agents[agent] !== undefined) return false;
    const name = queueNameOf(prefix, agent, await namedIn(db, teamId));
    if (!url.endsWith(`/${name}`)) return false;
    try {
      await queues.create(specOf(name));
      log.warn("agent queue made again", { agent, queue: name });
      return true;
    } catch (error) {
      log.warn("agent queue not made again", { agent, queue: name, error });
      return false;
    }
  };
  return {
    send: async (messages) => {
      const urls = await queueUrls(
        { db, settings },
        messages.map(({ teamId, toAgent }) => ({ teamId, agent: toAgent })),
      );
      const byQueue = Map.groupBy(messages, ({ teamId, toAgent }) => urls({ teamId, agent: toAgent }));
      const outcomes = await Promise.all(
        [...byQueue].map(async ([url, some]) => {
          const outcome = await sendTo(queues, url, some);
          if (url === undefined || !isMissing(outcome.error) || !(await remade(url, some[0]))) return outcome;
          return await sendTo(queues, url, some);
        }),
      );
      const sent = outcomes.flatMap((outcome) => outcome.sent);
      const refused = outcomes.flatMap((outcome) => outcome.refused);
      if (sent.length < messages.length) {
        const error = outcomes.find((outcome) => outcome.error !== undefined)?.error;
        log.warn("messages kept for the sweep", {
          sent: sent.length,
          of: messages.length,
          refused: refused.length,
          error,
        });
      }
      return { sent, refused };
    },
    wake,
    wakeForNext: async (readyAt) => {
      const id = stamp.newId();
      await wake({ taskId: id, traceId: id, runId: id, attempt: 0, ...(readyAt === undefined ? {} : { readyAt }) });
    },
  };
}

/** Sends messages to one queue; `url` undefined: their agent has none. What SQS says of the whole call it says of each of them. */
async function sendTo(
  queues: Edges["queues"],
  url: string | undefined,
  messages: Outgoing[],
): Promise<Delivery & { error?: unknown }> {
  if (url === undefined)
    return { sent: [], refused: messages.map(({ id, toAgent }) => ({ id, reason: noQueueOf(toAgent) })) };
  const outcome = await queues.send(messages.map(({ id, body }) => ({ id, body, queueUrl: url })));
  const { sent, refused = [], error } = outcome;
  const isDone = new Set([...sent, ...refused.map(({ id }) => id)]);
  const reason = refusalOf(url, error);
  const others = reason === undefined ? [] : messages.filter(({ id }) => !isDone.has(id));
  return {
    sent,
    refused: [
      ...refused.map(({ id, reason: said }) => ({ id, reason: refusedBy(url, said) })),
      ...others.map(({ id }) => ({ id, reason: reason ?? "" })),
    ],
    error,
  };
}
