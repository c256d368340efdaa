import type { Actor } from "../../access/actor.ts";
import { authorOf, mustBeOwn } from "../../access/author.ts";
import { type Action, audit } from "../../access/record.ts";
import { CallerError } from "../../errors.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { Transactions } from "../../runtime/postgres/team.ts";
import { stopMessages } from "../attempts/messages.ts";
import { stop } from "../attempts/stop.ts";
import { holdWork, keepWork } from "../attempts/store.ts";
import type { Stopping } from "../attempts/work.ts";
import { type Decision, decided, possibleFrom } from "../core/lifecycle.ts";
import type { Seal } from "../core/messages.ts";
import { insertOutbox, type Outgoing } from "../core/outbox.ts";
import { askOf, type Route, type Router } from "../core/router-seam.ts";
import type { Approve } from "../core/schema.ts";
import { findTask, type TaskRow } from "../core/task-row.ts";
import { unknownWork } from "../core/unknown-work.ts";
import type { LeaseSettings } from "../settings.ts";
import { type DecisionKey, takeKey } from "./decision-key.ts";
import { approve, assign, insertDecision, lockIfIn, reject, restart } from "./decisions.ts";

/** The work as a decision left it, and what is to be sent because of it; it is in the outbox already. */
export type Decided = { row: TaskRow; outgoing: Outgoing[]; replayed: boolean };

/**
 * Carries out what a person decided, and keeps who, when and why, in one transaction. What may be done about the work at that moment is
 * stopped before it goes on: until its agent has confirmed that, the work is cancelling. Answers the work as it is then and what is to
 * be sent. The same again under the same key changes nothing. Throws 404 for unknown work, 409 naming the present status where the
 * decision is not possible from it or the key was used for another, 400 where work without an agent is approved and none is named.
 */
export async function decide(
  pool: Transactions,
  actor: Actor,
  settings: LeaseSettings,
  { route, closeHandovers }: Pick<Router, "route" | "closeHandovers">,
  decision: Decision,
  taskId: string,
  said: Approve,
  seal: Seal,
  key?: DecisionKey,
): Promise<Decided> {
  const { reason } = said;
  const author = authorOf(actor, "by", { by: said.by, onBehalfOf: said.on_behalf_of });
  return await pool.begin(async (db) => {
    const known = await takeKey(db, actor, taskId, key, { decision, said: { ...said, by: author.by } });
    if (known !== undefined) return { row: known, outgoing: [], replayed: true };
    const locked = await lockIfIn(db, actor, taskId, possibleFrom[decision]);
    if (locked === undefined) throw await impossible(db, actor, decision, taskId);
    mustBeOwn(actor, locked.createdById);
    const before = locked.task;
    if (decision === "approve") await chooseAgent(db, route, before, said);
    const after = decided(decision, before.approvedAt !== null);
    const outgoing = await change(db, decision, before, { by: author.by, reason }, { ...settings, seal });
    if (decision === "cancel") await closeHandovers(db, taskId);
    const { teamId, status } = before;
    await insertDecision(db, {
      decisionId: seal.newId(),
      taskId,
      teamId,
      decision,
      author,
      reason,
      before: status,
      after,
    });
    const row = await findTask(db, actor, taskId);
    if (row === undefined) throw new Error(`task ${taskId} is locked and not there`);
    await audit(db, actor, {
      action: ACTION_OF[decision],
      object: ["work", taskId],
      team: teamId,
      reason,
      onBehalfOf: author.onBehalfOf,
      details: { before: status, after: row.status },
    });
    return { row, outgoing, replayed: false };
  });
}

const ACTION_OF: Record<Decision, Action> = {
  approve: "work.approved",
  reject: "work.rejected",
  cancel: "work.cancelled",
  retry: "work.retried",
};

/** The person's word on who does it; without one there must be an agent already. */
async function chooseAgent(db: Db, route: Route, before: TaskRow, said: Approve): Promise<void> {
  const { to_agent } = said;
  if (to_agent !== undefined)
    return await assign(db, before.taskId, await route(db, before.teamId, { ...askOf(before), to_agent }));
  if (before.toAgent !== null) return;
  const others =
    before.routing?.alternatives.map(({ agent, confidence }) => `${agent} (${confidence.toFixed(2)})`) ?? [];
  const considered = others.length === 0 ? "" : ` Considered were: ${others.join(", ")}.`;
  const message = `is missing: no agent is chosen for this work, so name one.${considered}`;
  throw new CallerError(400, "invalid_input", `to_agent ${message}`, { fields: [{ field: "to_agent", message }] });
}

/** Answers what is to be sent. */
async function change(
  db: Db,
  decision: Decision,
  before: TaskRow,
  { by, reason }: { by: string; reason: string | undefined },
  stopping: LeaseSettings & { seal: Seal },
): Promise<Outgoing[]> {
  const { taskId } = before;
  switch (decision) {
    case "approve":
      await approve(db, taskId, by, reason);
      return [];
    case "reject":
      await reject(db, taskId);
      return [];
    case "cancel":
      return await stopWork(db, taskId, "cancelled", `${by} has cancelled the work`, stopping);
    case "retry": {
      const approved = before.approvedAt !== null;
      await restart(db, taskId, stopping.seal.newId(), approved ? "approved" : "pending");
      return approved ? await stopWork(db, taskId, "approved", `${by} has retried the work`, stopping) : [];
    }
  }
}

/** Has everybody stop who may do this locked work, before it goes on to `next`. Answers what is to be sent; it is in the outbox already. */
export async function stopWork(
  db: Db,
  taskId: string,
  next: Stopping,
  reason: string,
  { seal, ...settings }: LeaseSettings & { seal: Seal },
): Promise<Outgoing[]> {
  const { works, now } = await holdWork(db, [taskId]);
  const stops = works.flatMap((work) =>
    stop(work, next, reason, { now, dice: seal.dice, ...settings }).map((one) => ({ work, stop: one })),
  );
  await keepWork(db, works);
  const outgoing = stopMessages(stops, seal);
  await insertOutbox(db, outgoing);
  return outgoing;
}

async function impossible(db: Db, actor: Actor, decision: Decision, taskId: string): Promise<CallerError> {
  const task = await findTask(db, actor, taskId);
  if (task === undefined) return unknownWork(taskId);
  const from = possibleFrom[decision].join(" or ");
  const message = `The work is ${task.status}; ${decision} is possible only while it is ${from}.`;
  return new CallerError(409, `not_possible_from_${task.status}`, message);
}
