import type { Db } from "../../runtime/postgres/db.ts";
import type { Status } from "../core/lifecycle.ts";
import { statusColumn, summaryColumns, type TaskRow } from "../core/task-row.ts";

/** Which rows of a list: at most `limit`, those after a cursor, or the `latest`, which come last first. */
export type Span<C> = { limit: number; after?: C | undefined; latest?: boolean };

const order = (db: Db, { latest = false }: { latest?: boolean }) => (latest ? db`desc` : db`asc`);

/** Where a step stands among those of its work. */
export type StepPlace = { attempt: number; step: number };

/** Steps of work by attempt and number, each with the size of its output in bytes; none where there is no such work. */
export async function findSteps(db: Db, taskId: string, span: Span<StepPlace>): Promise<Record<string, unknown>[]> {
  const { limit, after } = span;
  return await db`
    select attempt, step_number, agent_type, action, status, output_summary, timestamp, duration_ms::float8 as duration_ms,
      (
        select coalesce(sum(output_size_bytes), 0)::float8 from execution_output as output where output.log_id = logs.log_id
      ) as output_size_bytes
    from execution_logs as logs
    where task_id = ${taskId}
      ${after === undefined ? db`` : db`and (attempt, step_number) > (${after.attempt}, ${after.step})`}
    order by attempt ${order(db, span)}, step_number ${order(db, span)}
    limit ${limit}
  `;
}

/** How much there is of what happened to work. */
export async function countHistory(
  db: Db,
  taskId: string,
): Promise<{ attempts: number; steps: number; decisions: number }> {
  const [counts] = await db<{ attempts: number; steps: number; decisions: number }[]>`
    select (select count(*)::int from task_attempts where task_id = ${taskId}) as attempts,
      (select count(*)::int from execution_logs where task_id = ${taskId}) as steps,
      (select count(*)::int from task_decisions where task_id = ${taskId}) as decisions
  `;
  if (counts === undefined) throw new Error("a count has no row");
  return counts;
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

/** Attempts of work by number; of the `latest` without metrics over 10 kB. */
export async function findAttempts(db: Db, taskId: string, span: Span<number>): Promise<AttemptRow[]> {
  const { limit, after, latest = false } = span;
  return await db<AttemptRow[]>`
    select attempt, agent, process, start_id, counted, requests, requested_at, taken_at, started_at, heard_at,
      case when how is null then lease_until end as lease_until, told_to_stop_at, ended_at, how, reason, exit_code,
      ${latest ? db`case when octet_length(metrics::text) <= 10000 then metrics end` : db`metrics`} as metrics,
      octet_length(metrics::text) as metrics_bytes, requested_at < now() - interval '1 minute' as is_late
    from task_attempts
    where task_id = ${taskId} ${after === undefined ? db`` : db`and attempt > ${after}`}
    order by attempt ${order(db, span)}
    limit ${limit}
  `;
}

/** What people decided about work, in order; a cursor is a decision_id. */
export async function findDecisions(db: Db, taskId: string, span: Span<string>): Promise<Record<string, unknown>[]> {
  const { limit, after } = span;
  return await db`
    select decision_id, decision, decided_by, reason, status_before, status_after, decided_at
    from task_decisions
    where task_id = ${taskId} ${after === undefined ? db`` : db`and decision_id > ${after}`}
    order by decision_id ${order(db, span)}
    limit ${limit}
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
