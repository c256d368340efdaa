import type { Actor } from "../../access/actor.ts";
import type { Author } from "../../access/author.ts";
import { ofTeam } from "../../access/of-team.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import { forgetApart } from "../core/apart.ts";
import type { Decision, Status } from "../core/lifecycle.ts";
import type { Routed } from "../core/router-seam.ts";
import { statusColumn, type TaskRow, taskColumns } from "../core/task-row.ts";

/** Locked work, and whose it is. */
export type Locked = { task: TaskRow; createdById: string | null };

/** Locks work for a decision; undefined where there is none in one of these states. */
export async function lockIfIn(
  db: Db,
  actor: Actor,
  taskId: string,
  statuses: readonly Status[],
): Promise<Locked | undefined> {
  const [row] = await db<(TaskRow & { createdById: string | null })[]>`
    select ${taskColumns(db)}, created_by_id from tasks
    where task_id = ${taskId} and ${ofTeam(db, actor)} and ${statusColumn(db)} = any(${statuses as Status[]}::text[])
    for no key update
  `;
  if (row === undefined) return undefined;
  const { createdById, ...task } = row;
  return { task, createdById };
}

/** The same, but undefined too where somebody else has it locked: it waits for nobody. */
export async function lockIfFree(db: Db, taskId: string, statuses: readonly Status[]): Promise<TaskRow | undefined> {
  const [row] = await db<TaskRow[]>`
    select ${taskColumns(db)} from tasks
    where task_id = ${taskId} and ${statusColumn(db)} = any(${statuses as Status[]}::text[])
    for no key update skip locked
  `;
  return row;
}

/** Gives locked work to the agent that was chosen, and keeps the decision. */
export async function assign(db: Db, taskId: string, routed: Routed): Promise<void> {
  await db`
    with decided as (
      update tasks set to_agent = ${routed.agent}, routing_id = ${routed.routingId}, routed_at = now(),
        routing = ${db.json(routed.routing)}
      where task_id = ${taskId}
      returning task_id, team_id, routed_at, work_type
    )
    ${routed.keep(db)}
  `;
}

/** Approves pending work; undefined where it is not pending. */
export async function approve(db: Db, taskId: string, by: string, reason?: string): Promise<TaskRow | undefined> {
  const [row] = await db<TaskRow[]>`
    update tasks set status = 'approved', approved_by = ${by}, approved_at = now(), approval_reason = ${reason ?? null},
      ready_at = greatest(now(), not_before)
    where task_id = ${taskId} and status = 'pending'
    returning ${taskColumns(db)}
  `;
  return row;
}

/** Rejects pending work; undefined where it is not pending. */
export async function reject(db: Db, taskId: string): Promise<TaskRow | undefined> {
  const [row] = await db<TaskRow[]>`
    update tasks set status = 'rejected', completed_at = now() where task_id = ${taskId} and status = 'pending'
    returning ${taskColumns(db)}
  `;
  return row;
}

/** Starts a new run of failed or cancelled work: agents see a new request_id, the attempts count from none again. */
export async function restart(db: Db, taskId: string, runId: string, status: "approved" | "pending"): Promise<void> {
  await db`
    update tasks set status = ${status}, run_id = ${runId}, attempts_used = 0, handed_back = 0, completed_at = null,
      error_message = null, exit_code = null, ended_by = null, progress = null, actual_resources = null, dispatched_at = null,
      started_at = null, ready_at = ${status === "approved" ? db`greatest(now(), not_before)` : null}
    where task_id = ${taskId} and status in ('failed', 'cancelled')
  `;
  await forgetApart(db, taskId);
}

/** Keeps what a person decided. */
export async function insertDecision(
  db: Db,
  decision: {
    decisionId: string;
    taskId: string;
    teamId: string;
    decision: Decision;
    author: Author;
    reason: string | undefined;
    before: Status;
    after: Exclude<Status, "cancelling">;
  },
): Promise<void> {
  await db`
    insert into task_decisions (
      decision_id, task_id, team_id, decision, decided_by, decided_by_id, on_behalf_of, reason, status_before, status_after
    )
    values (${decision.decisionId}, ${decision.taskId}, ${decision.teamId}, ${decision.decision}, ${decision.author.by},
      ${decision.author.byId}, ${decision.author.onBehalfOf}, ${decision.reason ?? null},
      ${decision.before === "cancelling" ? "executing" : decision.before}, ${decision.after})
  `;
}
