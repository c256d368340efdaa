import { CallerError } from "../../errors.ts";
import type { Pool } from "../../runtime/postgres/db.ts";
import { lockIfIn } from "../core/decisions.ts";
import type { Status } from "../core/lifecycle.ts";
import type { Stamp } from "../core/messages.ts";
import { insertOutbox } from "../core/outbox.ts";
import { findTask, type TaskRow } from "../core/queries.ts";
import type { Registry } from "../core/router-seam.ts";
import type { HandOver } from "../core/schema.ts";
import { pass } from "../results/handover-by-agent.ts";
import { type Decided, stopMessages, unknownWork } from "./decide.ts";

const FROM: readonly Status[] = ["approved", "executing"];
const ROLE_FROM: readonly Status[] = ["executing"];

/**
 * Passes work on because a caller says so: to to_agent, or to whom the router chooses; its agent is told to stop. With a role the
 * work stays and the event alone is kept. `eventOf` makes the id of what is said about a run: said again it changes nothing.
 * Throws 404 for unknown work, 409 where it is not approved or executing, at another attempt, or nobody else is found.
 */
export async function handOver(
  pool: Pool,
  registry: Registry,
  taskId: string,
  said: HandOver,
  eventOf: (runId: string) => string,
  stamp: Stamp,
): Promise<Decided> {
  return await pool.begin(async (db) => {
    const task = await lockIfIn(db, taskId, FROM);
    const known = task ?? (await findTask(db, taskId));
    if (known === undefined) throw unknownWork(taskId);
    const eventId = eventOf(known.runId);
    if (await registry.hasEvent(db, taskId, eventId)) return { row: known, outgoing: [] };
    const from = toAgentOf(task, known, said);
    const { role, reason, context = {} } = said;
    if (role !== undefined) {
      const about = { eventId, taskId, source: from, target: from, role, reason, context, routed: null, error: null };
      await registry.insertEvent(db, { ...about, type: "sub_role" });
      return { row: known, outgoing: [] };
    }
    await pass(db, registry, { task: known, from, handover: said, eventId }, true);
    const outgoing = known.status === "executing" ? stopMessages(known, stamp) : [];
    await insertOutbox(db, outgoing);
    const row = await findTask(db, taskId);
    if (row === undefined) throw new Error(`task ${taskId} is locked and not there`);
    return { row, outgoing };
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
