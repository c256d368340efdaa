import { CallerError } from "../../errors.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import { handOverLocked } from "../core/handover.ts";
import { refusal, type Stamp } from "../core/messages.ts";
import { insertOutbox, type Outgoing } from "../core/outbox.ts";
import type { Router } from "../core/router-seam.ts";
import { findTask } from "../core/task-row.ts";
import type { EndRow } from "./changes.ts";
import type { LockedTask } from "./locked-task.ts";
import { handoverFailed } from "./outcome.ts";

/**
 * Carries out the handovers that agents said in a batch: the work goes to the agent that they name or the router chooses, or waits
 * for a person where there is none. One that cannot be carried out ends its attempt as a failure, of which its agent is told.
 * Answers all ends, in their order, as they are then, and what is to be sent.
 */
export async function handOverByAgents(
  db: Db,
  router: Router,
  ends: readonly EndRow[],
  held: readonly LockedTask[],
  stamp: Stamp,
): Promise<{ ends: EndRow[]; outgoing: Outgoing[] }> {
  const outgoing: Outgoing[] = [];
  const outcomes: EndRow[] = [];
  for (const end of ends) {
    const before = held.find(({ taskId }) => taskId === end.taskId);
    if (end.handedOver === null || before === undefined || before.toAgent === null) {
      outcomes.push(end);
      continue;
    }
    const { taskId, attempt, toAgent } = { ...before, toAgent: before.toAgent };
    const { handover, messageId: eventId } = end.handedOver;
    try {
      const task = await findTask(db, taskId);
      if (task === undefined) throw new Error(`task ${taskId} is locked and not there`);
      const agent = await handOverLocked(db, router, { task, from: toAgent, handover, eventId });
      outcomes.push({ ...end, status: agent === null ? "pending" : "approved" });
    } catch (error) {
      if (!(error instanceof CallerError)) throw error;
      const reason = `the work could not be handed over: ${error.message}`;
      outgoing.push({ ...refusal({ ...before, toAgent }, 5007, reason, stamp), toAgent, taskId, attempt });
      outcomes.push(handoverFailed(before, reason));
    }
  }
  await insertOutbox(db, outgoing);
  return { ends: outcomes, outgoing };
}
