import type { Db } from "../../runtime/postgres/db.ts";
import type { Status } from "../core/lifecycle.ts";
import { statusColumn, summaryColumns, type TaskRow } from "../core/task-row.ts";

/** The steps of all attempts by attempt and number, each with the size of its output in bytes; none where there is no such work. */
export async function findSteps(db: Db, taskId: string): Promise<Record<string, unknown>[]> {
  return await db`
    select l.attempt, l.step_number, l.agent_type, l.action, l.status, l.output_summary, l.timestamp,
      l.duration_ms::float8 as duration_ms, coalesce(sum(o.output_size_bytes), 0)::float8 as output_size_bytes
    from execution_logs l left join execution_output o using (log_id)
    where l.task_id = ${taskId}
    group by l.log_id
    order by l.attempt, l.step_number
  `;
}

/** The columns of an attempt that decide whether it is held up; `isLate`: it was asked for more than a minute ago. */
export type AttemptRow = Record<string, unknown> & {
  agent: string;
  process: string | null;
  requests: number;
  requestedAt: Date;
  takenAt: Date | null;
  startedAt: Date | null;
  how: string | null;
  isLate: boolean;
};

/** The attempts of work, first to last; none before the first. */
export async function findAttempts(db: Db, taskId: string): Promise<AttemptRow[]> {
  return await db<AttemptRow[]>`
    select attempt, agent, process, start_id, counted, requests, requested_at, taken_at, started_at, heard_at,
      case when how is null then lease_until end as lease_until, told_to_stop_at, ended_at, how, reason, exit_code, metrics,
      requested_at < now() - interval '1 minute' as is_late
    from task_attempts where task_id = ${taskId}
    order by attempt
  `;
}

/** What people decided about work, first to last. */
export async function findDecisions(db: Db, taskId: string): Promise<Record<string, unknown>[]> {
  return await db`
    select decision, decided_by, reason, status_before, status_after, decided_at
    from task_decisions where task_id = ${taskId} order by decision_id
  `;
}

/** Which work a list shows; a cursor is a task_id, and the list begins after it. */
export type ListFilter = {
  status?: Status | undefined;
  work_type?: string | undefined;
  agent?: string | undefined;
  project_id?: string | undefined;
  cursor?: string | undefined;
};

/** At most `limit` tasks, newest first: task_id is time-ordered, so it is the order and the cursor. */
export async function findTasks(db: Db, filter: ListFilter, limit: number): Promise<TaskRow[]> {
  return await db<TaskRow[]>`
    select ${summaryColumns(db)} from tasks
    where true
      ${filter.status === undefined ? db`` : db`and ${statusColumn(db)} = ${filter.status}`}
      ${filter.work_type === undefined ? db`` : db`and work_type = ${filter.work_type}`}
      ${filter.agent === undefined ? db`` : db`and to_agent = ${filter.agent}`}
      ${filter.project_id === undefined ? db`` : db`and project_id = ${filter.project_id}`}
      ${filter.cursor === undefined ? db`` : db`and task_id < ${filter.cursor}`}
    order by task_id desc
    limit ${limit}
  `;
}
