import { CallerError } from "../errors.ts";
import type { Db, Pool } from "../runtime/db.ts";
import { type Decision, decided, possibleFrom } from "./lifecycle.ts";
import { cancelled, type Stamp } from "./messages.ts";
import { insertOutbox, type Outgoing } from "./outbox.ts";
import { approve, close, findTask, insertDecision, lockIfIn, restart, type TaskRow } from "./queries.ts";
import type { Decide } from "./schema.ts";

export type Decided = { row: TaskRow; outgoing: Outgoing[] };

/**
 * Carries out what a person decided, and keeps who, when and why, in one transaction. Answers the work as it is then and what
 * is to be sent. Throws 404 for unknown work, 409 naming the present status where the decision is not possible from it.
 */
export async function decide(
  pool: Pool,
  decision: Decision,
  taskId: string,
  { by, reason }: Decide,
  stamp: Stamp,
): Promise<Decided> {
  return await pool.begin(async (db) => {
    const before = await lockIfIn(db, taskId, possibleFrom[decision]);
    if (before === undefined) throw await impossible(db, decision, taskId);
    const after = decided(decision, before.approvedAt !== null);
    const row = await carryOut(db, decision, before, by, reason, stamp);
    await insertDecision(db, { decisionId: stamp.newId(), taskId, decision, by, reason, before: before.status, after });
    const outgoing = decision === "cancel" && before.status === "executing" ? [stopMessage(before, stamp)] : [];
    await insertOutbox(db, outgoing);
    return { row, outgoing };
  });
}

async function carryOut(
  db: Db,
  decision: Decision,
  before: TaskRow,
  by: string,
  reason: string | undefined,
  stamp: Stamp,
): Promise<TaskRow> {
  const row = await change(db, decision, before, by, reason, stamp);
  // The row is locked in a state that allows the change, so this is a fault of ours, never a race.
  if (row === undefined) throw new Error(`${decision} of task ${before.taskId} changed nothing`);
  return row;
}

async function change(
  db: Db,
  decision: Decision,
  before: TaskRow,
  by: string,
  reason: string | undefined,
  stamp: Stamp,
): Promise<TaskRow | undefined> {
  switch (decision) {
    case "approve":
      return await approve(db, before.taskId, by, reason);
    case "reject":
      return await close(db, before.taskId, "rejected");
    case "cancel":
      return await close(db, before.taskId, "cancelled");
    case "retry":
      return await restart(db, before.taskId, stamp.newId(), before.approvedAt === null ? "pending" : "approved");
  }
}

function stopMessage(task: TaskRow, stamp: Stamp): Outgoing {
  return { ...cancelled(task, stamp), toAgent: task.toAgent, taskId: task.taskId };
}

async function impossible(db: Db, decision: Decision, taskId: string): Promise<CallerError> {
  const task = await findTask(db, taskId);
  if (task === undefined) return unknownWork(taskId);
  const from = possibleFrom[decision].join(" or ");
  const message = `The work is ${task.status}; ${decision} is possible only while it is ${from}.`;
  return new CallerError(409, `not_possible_from_${task.status}`, message);
}

/** The answer for a task_id that names nothing. */
export function unknownWork(taskId: string): CallerError {
  return new CallerError(404, "not_found", `No work has the task_id ${taskId}.`);
}
