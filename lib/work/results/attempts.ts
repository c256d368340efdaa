import type { Db } from "../../runtime/postgres/db.ts";
import { backoffSql } from "../core/backoff.ts";
import type { EndRow, Renewal } from "./changes.ts";

/** Gives attempts whose agents spoke another lease, never past their deadline; the first word starts the clock of the timeout. */
export async function renewLeases(db: Db, renewals: Renewal[], leaseSeconds: number): Promise<void> {
  if (renewals.length === 0) return;
  const deadline = db`
    case when tasks.started_at is null
      then now() + make_interval(secs => tasks.timeout_seconds + ${leaseSeconds})
      else tasks.deadline
    end
  `;
  await db`
    update tasks set
      started_at = coalesce(started_at, now()),
      deadline = ${deadline},
      lease_until = least(now() + make_interval(secs => ${leaseSeconds}), ${deadline}),
      progress = greatest(renewal.progress, tasks.progress)
    from unnest(
      ${renewals.map((renewal) => renewal.taskId)}::uuid[],
      ${renewals.map((renewal) => renewal.progress)}::real[]
    ) as renewal (task_id, progress)
    where tasks.task_id = renewal.task_id and tasks.status = 'executing'
  `;
}

/** Ends attempts: final with what they brought, or back to approved, at once or after a backoff. */
export async function endAttempts(db: Db, ends: EndRow[]): Promise<void> {
  if (ends.length === 0) return;
  await db`
    update tasks set
      status = ending.status,
      attempts_used = ending.attempts_used,
      exit_code = ending.exit_code,
      error_message = ending.error_message,
      actual_resources = coalesce(ending.metrics::jsonb, tasks.actual_resources),
      external_ai_used = ${mergedAiUse(db)},
      progress = case ending.status when 'completed' then 1 else tasks.progress end,
      started_at = coalesce(tasks.started_at, now()),
      completed_at = case when ending.status = 'approved' then null else now() end,
      ready_at = case when ending.status = 'approved' then now() + make_interval(secs => case
        when ending.backoff::boolean then ${backoffSql(db)}
        else 0
      end) end,
      lease_until = null,
      deadline = null
    from unnest(
      ${ends.map((end) => end.taskId)}::uuid[],
      ${ends.map((end) => end.attempt)}::int[],
      ${ends.map((end) => end.status)}::task_status[],
      ${ends.map((end) => end.attemptsUsed)}::int[],
      ${ends.map((end) => String(end.backoff))}::text[],
      ${ends.map((end) => end.exitCode)}::int[],
      ${ends.map((end) => end.errorMessage)}::text[],
      ${ends.map((end) => end.metrics)}::text[],
      ${ends.map((end) => end.externalAi)}::text[]
    ) as ending (task_id, attempt, status, attempts_used, backoff, exit_code, error_message, metrics, external_ai)
    where tasks.task_id = ending.task_id and tasks.attempt = ending.attempt and tasks.status = 'executing'
  `;
}

/**
 * What is known stays: what earlier attempts told (each attempt ends once, so nothing is added twice), and what the LLM gateway
 * noted itself. Of what the agent tells now, models that went through the gateway are left out: it has measured them.
 */
function mergedAiUse(db: Db) {
  return db`
    case
      when ending.external_ai is null then tasks.external_ai_used
      else coalesce(tasks.external_ai_used, '[]') || (
        select coalesce(jsonb_agg(told.entry), '[]')
        from jsonb_array_elements(ending.external_ai::jsonb) as told (entry)
        where not exists (
          select from jsonb_array_elements(tasks.external_ai_used) as noted (entry)
          where noted.entry ->> 'via' = 'llm-route' and noted.entry ->> 'model' = told.entry ->> 'model'
        )
      )
    end
  `;
}
