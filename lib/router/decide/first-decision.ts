import type { Db } from "../../runtime/postgres/db.ts";
import type { FirstDecision } from "../../work/core/router-seam.ts";

/**
 * What was decided when work was submitted, whoever has had it since. Undefined where the month of that is no longer kept and the work was
 * given to somebody since: then nobody knows.
 */
export async function firstDecision(db: Db, taskId: string): Promise<FirstDecision | undefined> {
  // Of one transaction with the work, so of the same moment.
  const [row] = await db<FirstDecision[]>`
    select made.strategy, made.selected_agent as agent
    from tasks join router_performance_metrics as made on made.routed_at = tasks.created_at and made.task_id = tasks.task_id
    where tasks.task_id = ${taskId}
    union all
    select routing ->> 'strategy', to_agent from tasks where task_id = ${taskId} and routed_at = created_at
    limit 1
  `;
  return row;
}
