import { asked, cancelled, type Seal } from "../core/messages.ts";
import type { Outgoing } from "../core/outbox.ts";
import type { ToStop } from "./stop.ts";
import type { Attempt, Work } from "./work.ts";

type Of = Pick<Work, "teamId" | "taskId" | "traceId">;

/** The messages that tell agents to stop, for the outbox. They count whatever becomes of the work. */
export function stopMessages(stops: readonly { work: Of; stop: ToStop }[], seal: Seal): Outgoing[] {
  return stops.map(({ work, stop }) => ({
    ...cancelled(about(work, stop), seal),
    teamId: work.teamId,
    toAgent: stop.agent,
    taskId: work.taskId,
  }));
}

/** The messages that ask agents what has become of an attempt. */
export function askMessages(asks: readonly { work: Of; attempt: Attempt }[], seal: Seal): Outgoing[] {
  return asks.map(({ work, attempt }) => ({
    ...asked(about(work, attempt), seal),
    teamId: work.teamId,
    toAgent: attempt.agent,
    taskId: work.taskId,
    attempt: attempt.attempt,
  }));
}

function about({ taskId, traceId }: Omit<Of, "teamId">, { attempt, agent, runId, startId }: ToStop) {
  return { taskId, traceId, runId, toAgent: agent, attempt, startId };
}
