import type { Actor } from "../../access/actor.ts";
import { ofTeam } from "../../access/of-team.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { Status } from "../core/lifecycle.ts";
import { statusColumn, summaryColumns, type TaskRow } from "../core/task-row.ts";

/** Which rows of a list: at most `limit`, those after a cursor, or the `latest`, which come last first. */
export type Span<C> = { limit: number; after?: C | undefined; latest?: boolean };

const order = (db: Db, { latest = false }: { latest?: boolean }) => (latest ? db`desc` : db`asc`);

/** Where a step stands among those of its work. */
export type StepPlace = { attempt: number; step: number };

/** Steps of work by attempt and number, each with the size of its output in bytes; none where there is no such work. */
export async function findSteps(
  db: Db,
  actor: Actor,
  taskId: string,
  span: Span<StepPlace>,
): Promise<Record<string, unknown>[]> {
  const { limit, after } = span;
  return await db`
    select attempt, step_number, agent_type, action, status, output_summary, timestamp, duration_ms::float8 as duration_ms,
      (
        select coalesce(sum(output_size_bytes), 0)::float8 from execution_output as output where output.log_id = logs.log_id
      ) as output_size_bytes
    from execution_logs as logs
    where task_id = ${taskId} and ${ofTeam(db, actor)}
      ${after === undefined ? db`` : db`and (attempt, step_number) > (${after.attempt}, ${after.step})`}
    order by attempt ${order(db, span)}, step_number ${order(db, span)}
    limit ${limit}
  `;
}

/** How much there is of what happened to work. */
export async function countHistory(
  db: Db,
  actor: Actor,
  taskId: string,
): Promise<{ attempts: number; steps: number; decisions: number }> {
  const [counts] = await db<{ attempts: number; steps: number; decisions: number }[]>`
    select (select count(*)::int from task_attempts where task_id = ${taskId} and ${ofTeam(db, actor)}) as attempts,
      (select count(*)::int from execution_logs where task_id = ${taskId} and ${ofTeam(db, actor)}) as steps,
      (select count(*)::int from task_decisions where task_id = ${taskId} and ${ofTeam(db, actor)}) as decisions
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
export async function findAttempts(db: Db, actor: Actor, taskId: string, span: Span<number>): Promise<AttemptRow[]> {
  const { limit, after, latest = false } = span;
  return await db<AttemptRow[]>`
    select attempt, agent, process, start_id, counted, requests, requested_at, taken_at, started_at, heard_at,
      case when how is null then lease_until end as lease_until, told_to_stop_at, ended_at, how, reason, exit_code,
      ${latest ? db`case when octet_length(metrics::text) <= 10000 then metrics end` : db`metrics`} as metrics,
      octet_length(metrics::text) as metrics_bytes, requested_at < now() - interval '1 minute' as is_late
    from task_attempts
    where task_id = ${taskId} and ${ofTeam(db, actor)} ${after === undefined ? db`` : db`and attempt > ${after}`}
    order by attempt ${order(db, span)}
    limit ${limit}
  `;
}

/** What people decided about work, in order; a cursor is a decision_id. */
export async function findDecisions(
  db: Db,
  actor: Actor,
  taskId: string,
  span: Span<string>,
): Promise<Record<string, unknown>[]> {
  const { limit, after } = span;
  return await db`
    select decision_id, decision, decided_by, on_behalf_of, reason, status_before, status_after, decided_at
    from task_decisions
    where task_id = ${taskId} and ${ofTeam(db, actor)} ${after === undefined ? db`` : db`and decision_id > ${after}`}
    order by decision_id ${order(db, span)}
    limit ${limit}
  `;
}

/** Which work a list shows; a cursor is a task_id, and the list begins after it. */
export type ListFilter = {
  status?: Status[] | undefined;
  work_type?: string | undefined;
  agent?: string | undefined;
  project_id?: string | undefined;
  created_by?: string | undefined;
  created_after?: string | undefined;
  created_before?: string | undefined;
  sort?: "newest" | "oldest" | undefined;
  cursor?: string | undefined;
};

/** At most `limit` tasks in the order of their task_id, which is that of time and the cursor. */
export async function findTasks(db: Db, actor: Actor, filter: ListFilter, limit: number): Promise<TaskRow[]> {
  return await db<
    TaskRow[]
  >`select ${summaryColumns(db)} from tasks where ${chosen(db, actor, filter)} ${inOrder(db, filter)} limit ${limit}`;
}

/**
 * Of the first `scanned` tasks of the filter at most `limit` whose text has `text` in it, in capitals or not; and the last of those
 * that were looked at, where there are more.
 */
export async function searchTasks(
  db: Db,
  actor: Actor,
  filter: ListFilter,
  text: string,
  { limit, scanned }: { limit: number; scanned: number },
): Promise<{ rows: TaskRow[]; last: string | null }> {
  const pattern = `%${text.replaceAll(/[\\%_]/g, "\\$&")}%`;
  const looked = db`select * from tasks where ${chosen(db, actor, filter)} ${inOrder(db, filter)} limit ${scanned}`;
  const [rows, [end]] = await Promise.all([
    db<TaskRow[]>`
      with looked as (${looked})
      select ${summaryColumns(db)} from looked where request_text ilike ${pattern} ${inOrder(db, filter)} limit ${limit}
    `,
    db<{ taskId: string }[]>`
      select task_id from tasks where ${chosen(db, actor, filter)} ${inOrder(db, filter)} offset ${scanned - 1} limit 1
    `,
  ]);
  return { rows, last: end?.taskId ?? null };
}

const inOrder = (db: Db, { sort }: ListFilter) =>
  sort === "oldest" ? db`order by task_id` : db`order by task_id desc`;

function chosen(db: Db, actor: Actor, filter: ListFilter) {
  const { status, work_type, agent, project_id, created_by, created_after, created_before, sort, cursor } = filter;
  return db`
    ${ofTeam(db, actor)}
    ${status === undefined ? db`` : isIn(db, status)}
    ${work_type === undefined ? db`` : db`and work_type = ${work_type}`}
    ${agent === undefined ? db`` : db`and to_agent = ${agent}`}
    ${project_id === undefined ? db`` : db`and project_id = ${project_id}`}
    ${created_by === undefined ? db`` : db`and created_by = ${created_by}`}
    ${created_after === undefined ? db`` : db`and created_at >= ${created_after}::timestamptz`}
    ${created_before === undefined ? db`` : db`and created_at < ${created_before}::timestamptz`}
    ${cursor === undefined ? db`` : sort === "oldest" ? db`and task_id > ${cursor}` : db`and task_id < ${cursor}`}
  `;
}

/** By the column, which has an index, and by what callers see of it: work that is being stopped is executing there. */
function isIn(db: Db, statuses: Status[]) {
  const kept = [...new Set(statuses.map((status) => (status === "cancelling" ? "executing" : status)))];
  return db`and status = any(${kept}::text[]::task_status[]) and ${statusColumn(db)} = any(${statuses}::text[])`;
}
