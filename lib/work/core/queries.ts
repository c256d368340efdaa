import type { Db } from "../../runtime/postgres/db.ts";
import type { Status } from "./lifecycle.ts";
import type { Routed, Routing } from "./router-seam.ts";
import type { SubmitWork } from "./schema.ts";

/** A row of tasks as the driver gives it: camelCase columns, times as Date. */
export type TaskRow = {
  taskId: string;
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

/** The columns of a task that a caller sees, without what may be large. */
const summaryColumns = (db: Db) => db`
  task_id, status, request_id, run_id, trace_id, project_id, created_by, request_text, work_type, to_agent, priority, not_before,
  timeout_seconds, max_attempts, approval, approved_by, approved_at, approval_reason, attempt, attempts_used, ready_at, dispatched_at,
  started_at, lease_until, progress, exit_code, error_message, created_at, completed_at
`;

/** All columns that a caller sees. */
export const taskColumns = (db: Db) => db`
  ${summaryColumns(db)}, parameters, hints, routing, estimated_resources, actual_resources, external_ai_used
`;

export type NewTask = Omit<SubmitWork, "request_id" | "to_agent"> & {
  task_id: string;
  request_id: string;
  request_hash: Uint8Array;
  trace_id: string;
  concurrency_key: string | null;
  message_bytes: number;
  status: "pending" | "approved";
  approval_reason: string | null;
};

/**
 * Inserts work once per request_id, approved at once where the status says so, and with it the router's decision. Answers nothing
 * when the key is taken; then the decision is not kept either.
 */
export async function insertOnce(db: Db, task: NewTask, routed: Routed): Promise<TaskRow | undefined> {
  const approved = task.status === "approved";
  const [row] = await db<TaskRow[]>`
    with decided as (
      insert into tasks (
        task_id, status, request_id, request_hash, trace_id, run_id, project_id, created_by, request_text, work_type,
        parameters, hints, to_agent, priority, not_before, timeout_seconds, max_attempts, message_bytes,
        estimated_resources, approval, approved_by, approved_at, approval_reason, ready_at,
        routing_id, routed_at, routing, concurrency_key
      ) select
        ${task.task_id}, ${task.status}, ${task.request_id}, ${task.request_hash}, ${task.trace_id}, ${task.request_id},
        ${task.project_id ?? null}, ${task.created_by}, ${task.request_text}, ${task.work_type},
        ${db.json(task.parameters)}, ${db.json(task.hints)}, ${routed.agent}, ${task.priority},
        ${task.not_before ?? null}, ${task.timeout_seconds}, ${task.max_attempts}, ${task.message_bytes},
        ${task.estimated_resources === undefined ? null : db.json(task.estimated_resources)},
        ${task.approval}, ${approved ? "policy" : null}, ${approved ? db`now()` : null}, ${task.approval_reason},
        ${approved ? db`greatest(now(), ${task.not_before ?? null}::timestamptz)` : null},
        ${routed.routingId}, now(), ${db.json(routed.routing)}, ${task.concurrency_key}
      where ${routed.holds(db)}
      on conflict on constraint tasks_request_id_key do nothing
      returning routed_at, ${taskColumns(db)}
    ), kept as (
      ${routed.keep(db)}
    )
    select ${taskColumns(db)} from decided
  `;
  return row;
}

/** The work that a request_id made, with the hash of what was asked. */
export async function findByRequest(
  db: Db,
  requestId: string,
): Promise<(TaskRow & { requestHash: Buffer }) | undefined> {
  const [row] = await db<(TaskRow & { requestHash: Buffer })[]>`
    select ${taskColumns(db)}, request_hash from tasks where request_id = ${requestId}
  `;
  return row;
}

/** One piece of work. */
export async function findTask(db: Db, taskId: string): Promise<TaskRow | undefined> {
  const [row] = await db<TaskRow[]>`select ${taskColumns(db)} from tasks where task_id = ${taskId}`;
  return row;
}

/** The present status alone, for those who wait. */
export async function findStatus(db: Db, taskId: string): Promise<Status | undefined> {
  const [row] = await db<{ status: Status }[]>`select status from tasks where task_id = ${taskId}`;
  return row?.status;
}

/** The steps of all attempts in order, each with the size of its output. */
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

/** What people decided, in order. */
export async function findDecisions(db: Db, taskId: string): Promise<Record<string, unknown>[]> {
  return await db`
    select decision, decided_by, reason, status_before, status_after, decided_at
    from task_decisions where task_id = ${taskId} order by decision_id
  `;
}

export type ListFilter = {
  status?: Status | undefined;
  work_type?: string | undefined;
  agent?: string | undefined;
  project_id?: string | undefined;
  cursor?: string | undefined;
};

/** A page of work, newest first: task_id is time-ordered, so it is the order and the cursor. */
export async function listTasks(db: Db, filter: ListFilter, limit: number): Promise<TaskRow[]> {
  return await db<TaskRow[]>`
    select ${summaryColumns(db)} from tasks
    where true
      ${filter.status === undefined ? db`` : db`and status = ${filter.status}`}
      ${filter.work_type === undefined ? db`` : db`and work_type = ${filter.work_type}`}
      ${filter.agent === undefined ? db`` : db`and to_agent = ${filter.agent}`}
      ${filter.project_id === undefined ? db`` : db`and project_id = ${filter.project_id}`}
      ${filter.cursor === undefined ? db`` : db`and task_id < ${filter.cursor}`}
    order by task_id desc
    limit ${limit}
  `;
}
