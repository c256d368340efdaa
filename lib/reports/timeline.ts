import * as z from "zod";
import { whole } from "../input/whole.ts";
import { Uuid } from "../protocol/messages.ts";
import type { Db } from "../runtime/postgres/db.ts";
import { unknownWork } from "../work/core/unknown-work.ts";
import { Count, Milliseconds, report, Time } from "./report.ts";

export const taskTimeline = report({
  title: "All that happened to one task, in order: decisions, dispatch, the steps of every attempt, the end.",
  parameters: z.strictObject({
    task_id: Uuid.describe("of which task"),
    limit: whole(1, 1000).default(1000).describe("how many rows at most"),
  }),
  row: z.strictObject({
    at: Time,
    offset_ms: Milliseconds.describe("since the task was submitted, in milliseconds"),
    event: z.enum([
      "submitted",
      "approved",
      "rejected",
      "cancelled",
      "retried",
      "dispatched",
      "started",
      "step",
      "completed",
      "failed",
    ]),
    attempt: Count.nullable().describe("null for what belongs to no attempt"),
    step_number: z.int().nullable(),
    actor: z.string().nullable().describe("a person, policy, or the agent"),
    action: z.string().nullable().describe("of a step what was done, of a decision what it changed"),
    status: z.string().nullable(),
    duration_ms: Milliseconds.nullable().describe(
      "of a step, and at the end of the whole latest attempt, in milliseconds",
    ),
    output_size_bytes: Count.nullable(),
    detail: z.string().nullable().describe("text, reason, summary or error, its first 500 characters"),
  }),
  query: async (db, parameters) => {
    const events = await findEvents(db, parameters.task_id, parameters.limit);
    if (events.length === 0) throw unknownWork(parameters.task_id);
    return events;
  },
});

/**
 * The events of a task. Steps keep the order of their numbers and lie between the dispatch and the end of their attempt, even
 * where their agent's clock, which `at` shows, differs from the database's. Of dispatch and start the task keeps the latest.
 */
async function findEvents(db: Db, taskId: string, limit: number): Promise<Record<string, unknown>[]> {
  return await db`
    with task as materialized (
      select task_id, status, created_at, created_by, request_text, approved_at, approved_by, approval_reason, attempt, to_agent,
        dispatched_at, started_at, completed_at, error_message, exit_code,
        least(started_at, greatest(dispatched_at, (
          select min(timestamp) from execution_logs as logs where logs.task_id = tasks.task_id and logs.attempt = tasks.attempt
        ))) as begun_at
      from tasks where task_id = ${taskId}
    ), steps as (
      select logs.*,
        (select sum(output_size_bytes) from execution_output as output where output.log_id = logs.log_id) as bytes,
        max(timestamp) over (order by attempt, step_number) as reached_at
      from execution_logs as logs where task_id = ${taskId}
    ), events (place_at, place, at, event, attempt, step_number, actor, action, status, duration_ms, bytes, detail) as (
      select created_at, 0, created_at, 'submitted', null::int, null::int, created_by, null, null, null::float8, null::numeric,
        request_text
      from task
      union all
      select approved_at, 1, approved_at, 'approved', null, null, approved_by, 'pending -> approved', 'approved', null, null,
        approval_reason
      from task
      where approved_at is not null
        and not exists (select from task_decisions where task_id = ${taskId} and decision = 'approve')
      union all
      select decided_at, 2, decided_at,
        case decision when 'approve' then 'approved' when 'reject' then 'rejected' when 'cancel' then 'cancelled' else 'retried' end,
        null, null, decided_by, status_before || ' -> ' || status_after, status_after::text, null, null, reason
      from task_decisions where task_id = ${taskId}
      union all
      select dispatched_at, 3, dispatched_at, 'dispatched', attempt, null, to_agent, null, 'executing', null, null, null
      from task where dispatched_at is not null
      union all
      select begun_at, 4, begun_at, 'started', attempt, null, to_agent, null, 'executing', null, null, null
      from task where begun_at is not null
      union all
      select
        case
          when steps.attempt = task.attempt then least(greatest(reached_at, begun_at), completed_at)
          else least(reached_at, dispatched_at)
        end,
        case when steps.attempt = task.attempt then 5 else 1 end,
        timestamp, 'step', steps.attempt, step_number, agent_type, action, steps.status::text, duration_ms, bytes, output_summary
      from steps, task
      union all
      select completed_at, 6, completed_at, status::text, nullif(attempt, 0), null, to_agent, null, status::text,
        extract(epoch from completed_at - begun_at) * 1000, null,
        concat_ws(': ', 'exit code ' || exit_code, error_message)
      from task
      where completed_at is not null and not exists (
        select from task_decisions where task_id = ${taskId} and status_after = task.status
      )
    )
    select at, round(extract(epoch from at - (select created_at from task)) * 1000)::float8 as offset_ms, event, attempt,
      step_number, actor, action, status, round(duration_ms::numeric)::float8 as duration_ms, bytes::float8 as output_size_bytes,
      nullif(left(detail, 500), '') as detail
    from events
    order by place_at, place, attempt, step_number
    limit ${limit}
  `;
}
