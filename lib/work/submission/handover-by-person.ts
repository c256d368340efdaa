import type { Actor } from "../../access/actor.ts";
import { authorOf } from "../../access/author.ts";
import { audit } from "../../access/record.ts";
import { CallerError } from "../../errors.ts";
import { canonicalJson } from "../../input/json.ts";
import type { Transactions } from "../../runtime/postgres/team.ts";
import { handOverLocked } from "../core/handover.ts";
import type { Status } from "../core/lifecycle.ts";
import type { Seal } from "../core/messages.ts";
import type { Router } from "../core/router-seam.ts";
import type { HandOver } from "../core/schema.ts";
import { findTask, type TaskRow } from "../core/task-row.ts";
import { unknownWork } from "../core/unknown-work.ts";
import type { LeaseSettings } from "../settings.ts";
import { type Decided, stopWork } from "./decide.ts";
import { type DecisionKey, takeKey } from "./decision-key.ts";
import { lockIfIn } from "./decisions.ts";

const FROM: readonly Status[] = ["approved", "executing"];
const ROLE_FROM: readonly Status[] = ["executing"];
const INSTEAD = "This one is not: its agent can tell it as a step, and what is large is kept elsewhere and named here.";

/**
 * Hands work over because a caller says so: to to_agent, or to whom the router chooses; its agent is told to stop, and the next
 * begins when it has. With a role the
 * work stays and the event alone is kept. The same said again under the same key changes nothing, nor without a key in the same run:
 * `uuidOf` makes the id under which that is kept, the same UUID for the same text. Throws 404 for unknown work, 409 where it is not
 * approved or executing, at another attempt, nobody else is found, or it has as many roles as are kept.
 */
export async function handOver(
  pool: Transactions,
  actor: Actor,
  settings: LeaseSettings,
  router: Router,
  taskId: string,
  asked: HandOver,
  uuidOf: (text: string) => string,
  seal: Seal,
  key?: DecisionKey,
): Promise<Decided> {
  const { by, onBehalfOf } = authorOf(actor, "by", { by: asked.by, onBehalfOf: asked.on_behalf_of });
  const said = { ...asked, by };
  return await pool.begin(async (db) => {
    const before = await takeKey(db, actor, taskId, key, { decision: "handover", said });
    if (before !== undefined) return { row: before, outgoing: [], replayed: true };
    const task = (await lockIfIn(db, actor, taskId, FROM))?.task;
    const known = task ?? (await findTask(db, actor, taskId));
    if (known === undefined) throw unknownWork(taskId);
    // A key that has not been used is a decision of its own, whatever was said before.
    const eventId = key === undefined ? uuidOf(`handover/${known.runId}/${canonicalJson(said)}`) : seal.newId();
    if (await router.hasHandover(db, taskId, eventId)) return { row: known, outgoing: [], replayed: true };
    const from = toAgentOf(task, known, said);
    const { role, reason, context = {} } = said;
    const object = ["work", taskId] as const;
    const event = { action: "work.handed_over", object, team: known.teamId, reason, onBehalfOf } as const;
    if (role !== undefined) {
      const full = await router.whyNoRole(db, taskId, eventId);
      if (full !== undefined) throw new CallerError(409, "too_many_roles", `${full} ${INSTEAD}`);
      const about = { eventId, taskId, source: from, target: from, role, reason, context, routed: null, error: null };
      await router.insertHandover(db, { ...about, type: "sub_role" });
      await audit(db, actor, { ...event, details: { from, role } });
      return { row: known, outgoing: [], replayed: false };
    }
    await handOverLocked(db, router, { task: known, from, handover: said, eventId }, true);
    const outgoing = await stopWork(db, taskId, "approved", `${said.by} has handed the work over`, {
      ...settings,
      seal,
    });
    const row = await findTask(db, actor, taskId);
    if (row === undefined) throw new Error(`task ${taskId} is locked and not there`);
    await audit(db, actor, { ...event, details: { from, to: row.toAgent } });
    return { row, outgoing, replayed: false };
  });
}

/** The agent that has the work now; throws where it cannot be taken from it. */
function toAgentOf(task: TaskRow | undefined, known: TaskRow, { role, attempt }: HandOver): string {
  const from = role === undefined ? FROM : ROLE_FROM;
  const agent = task?.toAgent;
  if (agent === undefined || agent === null || !from.includes(known.status)) {
    const message = `The work is ${known.status}; ${role === undefined ? "handover" : "a role"} is possible only while it is ${from.join(" or ")}.`;
    throw new CallerError(409, `not_possible_from_${known.status}`, message);
  }
  if (attempt !== undefined && attempt !== known.attempt) {
    const message = `The latest attempt is ${known.attempt}, not ${attempt}.`;
    throw new CallerError(409, "another_attempt", message);
  }
  return agent;
}
