import { createHash } from "node:crypto";
import type postgres from "postgres";
import { learn } from "../../lib/router/learn/learn.ts";
import { uuidOf, uuidv7At } from "../../lib/runtime/ids.ts";
import type { Db, Pool } from "../../lib/runtime/postgres/db.ts";
import { aiUseOf, insertCalls } from "./calls.ts";
import { insertRouting, routingOf } from "./routing.ts";
import { type Story, type StoryStep, stories } from "./stories.ts";

/** What was written, and how many tasks there are in all. */
export type Written = { tasks: number; steps: number; outputs: number; calls: number; of: number };

/** A lease and a start that nobody will see the end of: no sweep ends the one, no dispatcher reaches the other. */
const NEVER = new Date("2999-12-31T00:00:00Z");

/**
 * Writes the sample tasks that are not there, in one transaction, with times before the database's now. A task that is there
 * stays as it is, whatever became of it. Their ids are of the time they were submitted, so the request_id says which are there.
 */
export async function writeSamples(pool: Pool): Promise<Written> {
  return await pool.begin(async (db) => {
    const [clock] = await db<{ now: Date }[]>`select now() as now`;
    const now = clock?.now ?? new Date();
    const taskIds: string[] = [];
    const written: Written = { tasks: 0, steps: 0, outputs: 0, calls: 0, of: stories.length };
    for (const story of stories) {
      const submitted = new Date(now.getTime() - story.hoursAgo * 3_600_000);
      const taskId = await insertTask(db, story, submitted);
      if (taskId === undefined) continue;
      written.tasks++;
      taskIds.push(taskId);
      await insertRouting(db, taskId, routingOf(story));
      for (const decision of story.decisions ?? []) await insertDecision(db, taskId, decision, submitted);
      const numbers = new Map<number, number>();
      for (const step of story.steps ?? []) {
        const attempt = step.attempt ?? story.attempt?.number ?? 1;
        const step_number = (numbers.get(attempt) ?? 0) + 1;
        numbers.set(attempt, step_number);
        await insertStep(db, { task_id: taskId, agent_type: story.agent, attempt, step_number }, step, submitted);
        written.steps++;
        if (step.output !== undefined) written.outputs++;
      }
      const { key, agent, calls } = story;
      if (calls !== undefined)
        written.calls += await insertCalls(db, { key, taskId, traceId: idOf(key, "trace"), agent, submitted }, calls);
    }
    // As if the results had come in: outcomes, and what the agents have shown.
    await learn(db, { halfLifeDays: 14 }, taskIds);
    return written;
  });
}

function after(submitted: Date, seconds: number): Date {
  return new Date(submitted.getTime() + seconds * 1000);
}

function idOf(key: string, what: string): string {
  return uuidOf(`waybill sample ${key} ${what}`);
}

/** Answers nothing where the task is there already. */
async function insertTask(db: Db, story: Story, submitted: Date): Promise<string | undefined> {
  const { routingId, routing } = routingOf(story);
  const { attempt, approved, needsApproval = false, parameters = {} } = story;
  const key = (what: string) => idOf(story.key, what);
  const at = (seconds: number | undefined) => (seconds === undefined ? null : after(submitted, seconds));
  const json = (value: object | undefined) => (value === undefined ? null : db.json(value as postgres.JSONValue));
  const executing = story.status === "executing";
  const waiting = story.status === "approved";
  const retried = story.decisions?.some(({ decision }) => decision === "retry") === true;
  const row = {
    task_id: uuidv7At(submitted),
    status: story.status,
    request_id: key("request"),
    request_hash: createHash("sha256").update(story.key).digest(),
    trace_id: key("trace"),
    run_id: key(retried ? "second run" : "request"),
    created_by: story.created_by,
    request_text: story.request_text,
    work_type: story.work_type,
    parameters: json(parameters),
    hints: json({}),
    to_agent: story.agent,
    routing_id: routingId,
    routed_at: submitted,
    routing: json(routing),
    priority: story.priority ?? 5,
    not_before: waiting ? NEVER : null,
    timeout_seconds: 3600,
    max_attempts: story.max_attempts ?? 3,
    message_bytes: 2048 + Buffer.byteLength(JSON.stringify(parameters) + story.request_text),
    estimated_resources: json(story.estimated_resources),
    approval: needsApproval ? "required" : "auto",
    approved_by: approved?.by ?? null,
    approved_at: at(approved?.at),
    approval_reason: approved?.reason ?? null,
    attempt: attempt?.number ?? 0,
    attempts_used: attempt?.used ?? 0,
    ready_at: waiting ? NEVER : null,
    dispatched_at: at(attempt?.dispatched),
    started_at: at(attempt?.started),
    lease_until: executing ? NEVER : null,
    deadline: executing ? NEVER : null,
    progress: story.status === "completed" ? 1 : (attempt?.progress ?? null),
    exit_code: story.exit_code ?? null,
    error_message: story.error_message ?? null,
    actual_resources: json(story.actual_resources),
    external_ai_used: json(story.calls === undefined ? undefined : aiUseOf(story.key, story.calls)),
    created_at: submitted,
    completed_at: at(story.ended),
  };
  const [inserted] = await db<{ taskId: string }[]>`
    insert into tasks ${db(row)} on conflict on constraint tasks_request_id_key do nothing returning task_id
  `;
  if (inserted !== undefined && attempt !== undefined) await insertAttempt(db, inserted.taskId);
  return inserted?.taskId;
}

/** The latest attempt, as the task tells it. */
async function insertAttempt(db: Db, task_id: string): Promise<void> {
  await db`
    insert into task_attempts (
      task_id, attempt, agent, run_id, counted, requests, requested_at, taken_at, started_at, heard_at, lease_until, ended_at, how,
      reason, exit_code, metrics
    )
    select task_id, attempt, to_agent, run_id, true, 1, dispatched_at, started_at, started_at, started_at,
      coalesce(lease_until, completed_at), completed_at, case when completed_at is not null then status::text end, error_message,
      exit_code, actual_resources
    from tasks where task_id = ${task_id} and (lease_until is not null or completed_at is not null)
  `;
}

async function insertDecision(
  db: Db,
  task_id: string,
  { at, decision, by, reason, before, after: status_after }: NonNullable<Story["decisions"]>[number],
  submitted: Date,
): Promise<void> {
  const decided_at = after(submitted, at);
  const decision_id = uuidv7At(decided_at);
  const row = {
    decision_id,
    task_id,
    decision,
    decided_by: by,
    reason: reason ?? null,
    status_before: before,
    status_after,
    decided_at,
  };
  await db`insert into task_decisions ${db(row)}`;
}

type Place = { task_id: string; agent_type: string; attempt: number; step_number: number };

async function insertStep(db: Db, place: Place, step: StoryStep, submitted: Date): Promise<void> {
  const timestamp = after(submitted, step.at);
  const log_id = uuidv7At(timestamp);
  const { action, status = "completed", summary: output_summary = null, ms: duration_ms = null, output } = step;
  await db`insert into execution_logs ${db({ ...place, log_id, action, status, output_summary, timestamp, recorded_at: timestamp, duration_ms })}`;
  if (output === undefined) return;
  const created_at = after(timestamp, (duration_ms ?? 0) / 1000);
  const output_id = uuidv7At(created_at);
  const size = { output_full: output, output_size_bytes: Buffer.byteLength(output) };
  await db`insert into execution_output ${db({ output_id, log_id, chunk_number: 0, encoding: "utf8", ...size, created_at })}`;
}
