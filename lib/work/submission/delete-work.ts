import type { Actor } from "../../access/actor.ts";
import { ofTeam } from "../../access/of-team.ts";
import { auditing } from "../../access/record.ts";
import { CallerError } from "../../errors.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import { FINAL, type Status } from "../core/lifecycle.ts";
import { findStatus } from "../core/task-row.ts";
import { unknownWork } from "../core/unknown-work.ts";

/**
 * Deletes work that has ended, with its steps, output, attempts and decisions. That it was deleted is kept, and what the router
 * decided and learnt of it stays. Throws
 * 404 for unknown work, 409 where it has not ended.
 */
export async function deleteWork(db: Db, actor: Actor, taskId: string): Promise<void> {
  const gone = await db`
    with gone as (
      delete from tasks
      where task_id = ${taskId} and ${ofTeam(db, actor)} and status = any(${FINAL as Status[]}::text[]::task_status[])
      returning task_id
    ), audited as (
      ${auditing(db, actor, { action: "work.deleted", object: ["work", taskId] }, db`from gone`)}
    )
    select from gone
  `;
  if (gone.length > 0) return;
  const status = await findStatus(db, actor, taskId);
  if (status === undefined) throw unknownWork(taskId);
  const message = `The work is ${status}; it can be deleted only once it is ${FINAL.join(" or ")}. Cancel it first.`;
  throw new CallerError(409, `not_possible_from_${status}`, message);
}
