import type { Actor } from "../../access/actor.ts";
import { ofTeam } from "../../access/of-team.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { Status } from "./lifecycle.ts";
import type { Routing } from "./routing.ts";

/** A row of the table tasks as the driver gives it: camelCase columns, times as Date. */
export type TaskRow = {
  taskId: string;
  teamId: string;
  status: Status;
  requestId: string;
  traceId: string;
  /** Null while nobody is chosen. */
  toAgent: string | null;
  workType: string;
  requestText: string;
  hints: Record<string, unknown>;
  projectId: string | null;
  routing: Routing | null;
  runId: string;
  attempt: number;
  attemptsUsed: number;
  maxAttempts: number;
  approvedAt: Date | null;
  readyAt: Date | null;
} & Record<string, unknown>;

/** The status as callers see it: work that is being stopped is executing in the table. */
export const statusColumn = (db: Db) =>
  db`case when status = 'executing' and stopping is not null then 'cancelling' else status::text end`;

/** The columns of a task that a list shows: all that callers see but what may be large. */
export const summaryColumns = (db: Db) => db`
  task_id, team_id, ${statusColumn(db)} as status, request_id, run_id, trace_id, rerun_of, project_id, created_by, on_behalf_of, request_text, work_type, to_agent, priority, not_before,
  timeout_seconds, max_attempts, approval, approved_by, approved_at, approval_reason, attempt, attempts_used, ready_at, dispatched_at,
  started_at, lease_until, progress, exit_code, error_message, ended_by, created_at, completed_at
`;

/** All columns that a caller sees. */
export const taskColumns = (db: Db) => db`
  ${summaryColumns(db)}, parameters, hints, routing, estimated_resources, actual_resources, external_ai_used
`;

/** One piece of work with all that callers see of it; undefined where there is none. */
export async function findTask(db: Db, actor: Pick<Actor, "team">, taskId: string): Promise<TaskRow | undefined> {
  const [row] = await db<TaskRow[]>`select ${taskColumns(db)} from tasks
    where task_id = ${taskId} and ${ofTeam(db, actor)}
  `;
  return row;
}

/** The present status alone; undefined where there is no such work. */
export async function findStatus(db: Db, actor: Pick<Actor, "team">, taskId: string): Promise<Status | undefined> {
  const [row] = await db<
    { status: Status }[]
  >`select ${statusColumn(db)} as status from tasks where task_id = ${taskId} and ${ofTeam(db, actor)}`;
  return row?.status;
}

/** Whose each of these pieces of work is, by task_id; without those that are not there. */
export async function teamsOf(db: Db, taskIds: readonly string[]): Promise<Map<string, string>> {
  const rows = await db<{ taskId: string; teamId: string }[]>`
    select task_id, team_id from tasks where task_id = any(${taskIds as string[]}::uuid[])
  `;
  return new Map(rows.map(({ taskId, teamId }) => [taskId, teamId]));
}
