import type { Actor } from "../../access/actor.ts";
import { CallerError } from "../../errors.ts";
import type { Db, Pool } from "../../runtime/postgres/db.ts";
import { type Decision, decided, possibleFrom } from "../core/lifecycle.ts";
import { cancelled, type Stamp } from "../core/messages.ts";
import { insertOutbox, type Outgoing } from "../core/outbox.ts";
import { askOf, type Route, type Router } from "../core/router-seam.ts";
import type { Approve } from "../core/schema.ts";
import { findTask, type TaskRow } from "../core/task-row.ts";
import { unknownWork } from "../core/unknown-work.ts";
import { approve, assign, close, insertDecision, lockIfIn, restart } from "./decisions.ts";

/** The work as a decision left it, and what is to be sent because of it; it is in the outbox already. */
export type Decided = { row: TaskRow; outgoing: Outgoing[] };

/**
 * Carries out what a person decided, and keeps who, when and why, in one transaction. Answers the work as it is then and what
 * is to be sent. Throws 404 for unknown work, 409 naming the present status where the decision is not possible from it, 400 where
 * work without an agent is approved and none is named.
 */
export async function decide(
  pool: Pool,
  _actor: Actor,
  { route, closeHandovers }: Pick<Router, "route" | "closeHandovers">,
  decision: Decision,
  taskId: string,
  said: Approve,
  stamp: Stamp,
): Promise<Decided> {
  return await pool.begin(async (db) => {
    const before = await lockIfIn(db, taskId, possibleFrom[decision]);
    if (before === undefined) throw await impossible(db, decision, taskId);
    if (decision === "approve") await chooseAgent(db, route, before, said);
    const after = decided(decision, before.approvedAt !== null);
    const row = await change(db, decision, before, said, stamp);
    // The row is locked in a state that allows the change, so this is a fault of ours, never a race.
    if (row === undefined) throw new Error(`${decision} of task ${before.taskId} changed nothing`);
    if (decision === "cancel") await closeHandovers(db, taskId);
    const { by, reason } = said;
    await insertDecision(db, { decisionId: stamp.newId(), taskId, decision, by, reason, before: before.status, after });
    const outgoing = decision === "cancel" && before.status === "executing" ? stopMessages(before, stamp) : [];
    await insertOutbox(db, outgoing);
    return { row, outgoing };
  });
}

/** The person's word on who does it; without one there must be an agent already. */
async function chooseAgent(db: Db, route: Route, before: TaskRow, said: Approve): Promise<void> {
  const { to_agent } = said;
  if (to_agent !== undefined) return await assign(db, before.taskId, await route(db, { ...askOf(before), to_agent }));
  if (before.toAgent !== null) return;
  const others =
    before.routing?.alternatives.map(({ agent, confidence }) => `${agent} (${confidence.toFixed(2)})`) ?? [];
  const considered = others.length === 0 ? "" : ` Considered were: ${others.join(", ")}.`;
  const message = `is missing: no agent is chosen for this work, so name one.${considered}`;
  throw new CallerError(400, "invalid_input", `to_agent ${message}`, { fields: [{ field: "to_agent", message }] });
}

async function change(
  db: Db,
  decision: Decision,
  before: TaskRow,
  { by, reason }: Approve,
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

/** The message that tells the agent of this work to stop; none where it has no agent. */
export function stopMessages(task: TaskRow, stamp: Stamp): Outgoing[] {
  const { toAgent, taskId } = task;
  return toAgent === null ? [] : [{ ...cancelled({ ...task, toAgent }, stamp), toAgent, taskId }];
}

async function impossible(db: Db, decision: Decision, taskId: string): Promise<CallerError> {
  const task = await findTask(db, taskId);
  if (task === undefined) return unknownWork(taskId);
  const from = possibleFrom[decision].join(" or ");
  const message = `The work is ${task.status}; ${decision} is possible only while it is ${from}.`;
  return new CallerError(409, `not_possible_from_${task.status}`, message);
}
