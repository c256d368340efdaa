import { findQueueUrls } from "../registry/queues.ts";
import { type Stamp, wakeUp } from "../work/core/messages.ts";
import type { Send } from "../work/core/outbox.ts";
import type { Edges } from "./edges.ts";
import type { PlaneSettings } from "./settings.ts";

/** What the work of which the dispatcher is told says of itself. */
type Ready = { taskId: string; traceId: string; runId: string; attempt: number; readyAt?: Date | null };

/** How messages of ours leave. */
export type Messages = {
  /**
   * Sends messages to agents and answers the ids that the queues have taken; the outbox still has the others. An agent's queue
   * is the one that AGENT_QUEUES names, else the one of its definition.
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
  return {
    send: async (messages) => {
      const { agents } = settings.queues;
      const others = messages.map(({ toAgent }) => toAgent).filter((agent) => agents[agent] === undefined);
      const defined = others.length === 0 ? {} : await findQueueUrls(db, [...new Set(others)]);
      const { sent, error } = await queues.send(
        messages.flatMap(({ id, body, toAgent }) => {
          const queueUrl = agents[toAgent] ?? defined[toAgent];
          return queueUrl === undefined ? [] : [{ id, body, queueUrl }];
        }),
      );
      if (sent.length < messages.length) {
        log.warn("messages kept for the sweep", { sent: sent.length, of: messages.length, error });
      }
      return sent;
    },
    wake,
    wakeForNext: async (readyAt) => {
      const id = stamp.newId();
      await wake({ taskId: id, traceId: id, runId: id, attempt: 0, ...(readyAt === undefined ? {} : { readyAt }) });
    },
  };
}
