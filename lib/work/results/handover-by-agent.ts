import { CallerError } from "../../errors.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import { ends } from "../attempts/ends.ts";
import { stopMessages } from "../attempts/messages.ts";
import { halt, type ToStop } from "../attempts/stop.ts";
import { holdWork, keepWork } from "../attempts/store.ts";
import { type Attempt, type Clock, close, leaveOne, uncount, type Work } from "../attempts/work.ts";
import { handOverLocked } from "../core/handover.ts";
import { refusal, type Seal } from "../core/messages.ts";
import { insertOutbox, type Outgoing } from "../core/outbox.ts";
import type { Router } from "../core/router-seam.ts";
import { findTask } from "../core/task-row.ts";
import { type Ended, endedOf, type Handing } from "./changes.ts";
import { handoverFailed } from "./outcome.ts";

/**
 * Carries out the handovers that agents said in a batch: the work goes to the agent that they name or the router chooses, or waits
 * for a person where there is none. One that cannot be carried out ends its attempt as a failure, of which its agent is told.
 * Answers the attempts that ended so, and what is to be sent.
 */
export async function handOverByAgents(
  db: Db,
  router: Router,
  handings: readonly Handing[],
  clock: Clock,
  seal: Seal,
): Promise<{ ended: Ended[]; outgoing: Outgoing[] }> {
  const outgoing: Outgoing[] = [];
  const ended: Ended[] = [];
  const tell = (work: Work, stops: readonly ToStop[]) => {
    const about = stops.map((stop) => ({ work, stop }));
    outgoing.push(...stopMessages(about, seal));
  };
  for (const { work, attempt, handover, messageId: eventId } of handings) {
    const { teamId, taskId, traceId, runId } = work;
    const { agent: from } = attempt;
    try {
      const task = await findTask(db, { team: teamId }, taskId);
      if (task === undefined) throw new Error(`task ${taskId} is locked and not there`);
      const agent = await handOverLocked(db, router, { task, from, handover, eventId });
      tell(work, await endHandedOver(db, taskId, attempt, handover.reason, clock));
      const status = agent === null ? "pending" : "approved";
      ended.push({ ...endedOf(work, attempt), how: "handed_over", status });
    } catch (error) {
      if (!(error instanceof CallerError)) throw error;
      const reason = `the work could not be handed over: ${error.message}`;
      const about = { taskId, traceId, runId, attempt: attempt.attempt, toAgent: from };
      outgoing.push({
        ...refusal(about, 5007, reason, seal),
        teamId,
        toAgent: from,
        taskId,
        attempt: attempt.attempt,
      });
      tell(work, ends(work, attempt, handoverFailed(reason), clock).stop);
      await keepWork(db, [work]);
      ended.push(endedOf(work, attempt));
    }
  }
  await insertOutbox(db, outgoing);
  return { ended, outgoing };
}

/** Ends the attempt whose agent has handed the work over, which does not count then, and all others. Answers whom to tell to stop. */
async function endHandedOver(
  db: Db,
  taskId: string,
  { attempt: number, agent }: Attempt,
  reason: string,
  clock: Clock,
): Promise<ToStop[]> {
  // As the handover has left it.
  const { works } = await holdWork(db, [taskId]);
  const stops = works.flatMap((work) => {
    for (const attempt of work.attempts.filter((one) => one.attempt === number)) {
      close(attempt, "handed_over", clock.now, reason);
      uncount(work, attempt);
    }
    leaveOne(work);
    return halt(work, `agent ${agent} has handed the work over`, clock);
  });
  await keepWork(db, works);
  return stops;
}
