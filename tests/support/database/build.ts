import { randomUUID } from "node:crypto";
import type postgres from "postgres";
import { uuidv7, uuidv7At } from "../../../lib/runtime/ids.ts";
import type { Db } from "../../../lib/runtime/postgres/db.ts";
import { FINAL, type Status } from "../../../lib/work/core/lifecycle.ts";

/** Rows in any state, as if all that leads there had happened: for tests of what is read, not of what is done. */

type Json = postgres.JSONValue;
type Time = Date | null;

/** What differs from a plain task; names are those of the columns. */
export type TaskParts = {
  status?: Status;
  task_id?: string;
  trace_id?: string;
  project_id?: string;
  created_by?: string;
  request_text?: string;
  work_type?: string;
  to_agent?: string;
  approval?: "auto" | "required";
  approved_by?: string;
  approval_reason?: string | null;
  attempt?: number;
  exit_code?: number | null;
  error_message?: string;
  estimated_resources?: Json;
  actual_resources?: Json;
  external_ai_used?: Json;
  created_at?: Date;
  approved_at?: Time;
  ready_at?: Time;
  dispatched_at?: Time;
  started_at?: Time;
  completed_at?: Time;
};

/** Writes a task and answers its task_id. Created an hour ago; approved, dispatched and started 1, 2 and 3 s later, ended 63 s later. */
export async function buildTask(db: Db, parts: TaskParts = {}): Promise<string> {
  const status = parts.status ?? "completed";
  const created = parts.created_at ?? new Date(Date.now() - 3_600_000);
  const after = (seconds: number) => new Date(created.getTime() + seconds * 1000);
  const executing = status === "executing" || status === "cancelling";
  const ran = executing || ["completed", "failed"].includes(status);
  const approved = ran || status === "approved";
  const row = {
    task_id: uuidv7At(created),
    status,
    request_id: randomUUID(),
    request_hash: Buffer.alloc(32),
    trace_id: randomUUID(),
    run_id: randomUUID(),
    created_by: "ada",
    request_text: "do it",
    work_type: "code.run",
    parameters: db.json({}),
    hints: db.json({}),
    to_agent: "code",
    priority: 5,
    timeout_seconds: 3600,
    max_attempts: 3,
    message_bytes: 2048,
    approval: "auto",
    approved_by: approved ? "policy" : null,
    attempt: ran ? 1 : 0,
    attempts_used: ran ? 1 : 0,
    created_at: created,
    approved_at: approved ? after(1) : null,
    ready_at: status === "approved" ? after(1) : null,
    dispatched_at: ran ? after(2) : null,
    started_at: ran ? after(3) : null,
    completed_at: FINAL.includes(status) ? after(63) : null,
    error_message: status === "failed" ? "it broke" : null,
    lease_until: executing ? new Date(Date.now() + 3_600_000) : null,
    deadline: executing ? new Date(Date.now() + 7_200_000) : null,
    ...parts,
    ...(status === "cancelling" ? { status: "executing", stopping: "cancelled" } : {}),
    ...json(db, parts, ["estimated_resources", "actual_resources", "external_ai_used"]),
  };
  await db`insert into tasks ${db(row)}`;
  if (ran) await buildAttempt(db, row.task_id);
  return row.task_id;
}

/** Writes the latest attempt of a task, as the task tells it. */
async function buildAttempt(db: Db, task_id: string): Promise<void> {
  await db`
    insert into task_attempts (
      task_id, attempt, agent, run_id, counted, requests, requested_at, taken_at, started_at, heard_at, lease_until, ended_at, how,
      reason, exit_code, metrics
    )
    select task_id, attempt, to_agent, run_id, true, 1, coalesce(dispatched_at, created_at), started_at, started_at, started_at,
      coalesce(lease_until, now()), completed_at, case when completed_at is not null then status::text end, error_message, exit_code,
      actual_resources
    from tasks where task_id = ${task_id}
  `;
}

function json(db: Db, parts: TaskParts, names: (keyof TaskParts)[]) {
  return Object.fromEntries(
    names.filter((name) => parts[name] !== undefined).map((name) => [name, db.json(parts[name] as Json)]),
  );
}

export type StepParts = {
  attempt?: number;
  step_number?: number;
  agent_type?: string;
  action?: string;
  status?: "running" | "completed" | "failed";
  output_summary?: string | null;
  timestamp?: Date;
  /** When it was told, by our clock; by default when it says that it was. */
  recorded_at?: Date;
  duration_ms?: number | null;
  /** Its full output, in pieces. */
  output?: string[];
};

/** Writes a step of a task, and its output. Completed in 100 ms, an hour ago, unless it says otherwise. */
export async function buildStep(db: Db, task_id: string, { output = [], ...parts }: StepParts = {}): Promise<string> {
  const timestamp = parts.timestamp ?? new Date(Date.now() - 3_600_000);
  const log_id = uuidv7();
  const plain = {
    attempt: 1,
    step_number: 1,
    agent_type: "code",
    action: "work",
    status: "completed",
    duration_ms: 100,
  };
  await db`insert into execution_logs ${db({ recorded_at: timestamp, ...plain, ...parts, log_id, task_id, timestamp })}`;
  for (const [chunk_number, output_full] of output.entries()) {
    const output_size_bytes = Buffer.byteLength(output_full);
    const chunk = { output_id: uuidv7(), log_id, chunk_number, encoding: "utf8", output_full, output_size_bytes };
    await db`insert into execution_output ${db(chunk)}`;
  }
  return log_id;
}

/** Writes what a person decided. */
export async function buildDecision(
  db: Db,
  task_id: string,
  parts: {
    decision: "approve" | "reject" | "cancel" | "retry";
    decided_by?: string;
    reason?: string;
    status_before: Status;
    status_after: Status;
    decided_at: Date;
  },
): Promise<void> {
  await db`insert into task_decisions ${db({ decision_id: uuidv7At(parts.decided_at), task_id, decided_by: "ada", ...parts })}`;
}
