import type { Db } from "../../runtime/postgres/db.ts";

/** Clears what was said in the handovers of a team's work and in feedback to it; that they were, and by whom, stays known. Before the work is deleted. */
export async function forgetSaid(db: Db, team: string, taskId: string): Promise<void> {
  await db`
    update agent_transformation_events
    set context_snapshot = jsonb_strip_nulls(jsonb_build_object('attempt', context_snapshot -> 'attempt', 'context', '{}'::jsonb))
    where team_id = ${team} and task_id = ${taskId}
  `;
  await db`
    update router_performance_metrics set feedback_comment = null
    where (routing_id, routed_at) = (
      select routing_id, routed_at from tasks where team_id = ${team} and task_id = ${taskId}
    ) and feedback_comment is not null
  `;
}
