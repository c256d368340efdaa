import * as z from "zod";
import { whole } from "../input/whole.ts";
import { Uuid } from "../protocol/messages.ts";
import type { Db, Fragment } from "../runtime/postgres/db.ts";
import { unknownWork } from "../work/core/unknown-work.ts";
import { Count, Milliseconds, type Mine, report, Time } from "./report.ts";

/** Where an event stands: microseconds, place among those of one moment, attempt, step; and the latest moment that its first page knew. */
const Cursor = z
  .string()
  .regex(/^\d{1,17}\.\d\.\d{1,7}\.\d{1,7}\.\d{1,17}$/, "must be the next_cursor of the page before");

export const taskTimeline = report({
  title: "All that happened to one task, in order: decisions, every attempt with its steps and its end, the end.",
  parameters: z.strictObject({
    task_id: Uuid.describe("of which task"),
    limit: whole(1, 1000).default(1000).describe("how many rows at most"),
    cursor: Cursor.optional().describe("next_cursor of the page before"),
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
      "taken",
      "started",
      "step",
      "ended",
      "completed",
      "failed",
    ]),
    attempt: Count.nullable().describe("null for what belongs to no attempt"),
    step_number: z.int().nullable(),
    actor: z.string().nullable().describe("a person, policy, or the agent"),
    action: z
      .string()
      .nullable()
      .describe("of a step what was done, of a decision what it changed, of an attempt how it ended"),
    status: z.string().nullable(),
    duration_ms: Milliseconds.nullable().describe("of a step, and at its end of an attempt, in milliseconds"),
    output_size_bytes: Count.nullable(),
    detail: z.string().nullable().describe("text, reason, summary or error, its first 500 characters"),
  }),
  query: async (db, parameters, mine) => {
    const { task_id, limit, cursor } = parameters;
    const events = await findEvents(db, task_id, mine, limit, cursor?.split(".").map(Number));
    if (events.length === 0 && cursor === undefined) throw unknownWork(parameters.task_id);
    return events;
  },
});

/**
 * The events of a task, those after the cursor. Order goes by our clock, and steps keep the order of their numbers and lie between the
 * start and the end of their attempt; `at` of a step is what its agent says. A step that is told late moves those of higher numbers
 * behind it: so the pages of one walk tell what its first page knew, and none tells again what another has told.
 */
async function findEvents(
  db: Db,
  taskId: string,
  mine: Mine,
  limit: number,
  [after = -1, place = 0, ofAttempt = 0, ofStep = 0, known]: readonly number[] = [],
): Promise<Record<string, unknown>[]> {
  const untilKnown = (at: Fragment) =>
    known === undefined ? db`true` : db`(extract(epoch from ${at}) * 1000000)::bigint <= ${known}::bigint`;
  return await db`
    with task as materialized (
      select task_id, status, created_at, created_by, request_text, approved_at, approved_by, approval_reason, to_agent, completed_at,
        error_message, exit_code, coalesce(ended_by, attempt) as attempt
      from tasks where task_id = ${taskId} and ${mine()}
    ), attempts as materialized (
      select *, extract(epoch from ended_at - case when started_at < ended_at then started_at else requested_at end) * 1000 as run_ms
      from task_attempts where task_id = ${taskId} and ${mine()}
    ), steps as (
      select *, max(recorded_at) over (partition by attempt order by step_number) as reached_at
      from execution_logs where task_id = ${taskId} and ${mine()} and ${untilKnown(db`recorded_at`)}
    ), events (place_at, place, at, event, attempt, step_number, actor, action, status, duration_ms, log_id, detail) as (
      select created_at, 0, created_at, 'submitted', null::int, null::int, created_by, null, null, null::numeric, null::uuid,
        request_text
      from task
      union all
      select approved_at, 1, approved_at, 'approved', null, null, approved_by, 'pending -> approved', 'approved', null, null,
        approval_reason
      from task
      where approved_at is not null
        and not exists (select from task_decisions where task_id = ${taskId} and ${mine()} and decision = 'approve')
      union all
      select decided_at, 2, decided_at,
        case decision when 'approve' then 'approved' when 'reject' then 'rejected' when 'cancel' then 'cancelled' else 'retried' end,
        null, null, decided_by, status_before || ' -> ' || status_after, status_after::text, null, null, reason
      from task_decisions where task_id = ${taskId} and ${mine()}
      union all
      select requested_at, 3, requested_at, 'dispatched', attempt, null, agent, null, 'executing', null, null,
        case when requests > 1 then 'asked for ' || requests || ' times' end
      from attempts
      union all
      select taken_at, 4, taken_at, 'taken', attempt, null, agent, null, 'executing', null, null, process
      from attempts where taken_at is distinct from started_at
      union all
      select started_at, 5, started_at, 'started', attempt, null, agent, null, 'executing', null, null, process
      from attempts where started_at is not null
      union all
      select least(greatest(reached_at, started_at, requested_at), ended_at), 6, timestamp, 'step', attempt, step_number, agent_type,
        action, steps.status::text, duration_ms, log_id, output_summary
      from steps left join attempts using (attempt)
      union all
      select ended_at, 7, ended_at, 'ended', attempt, null, agent, how, null, run_ms, null,
        concat_ws(': ', 'exit code ' || exit_code, reason)
      from attempts where ended_at is not null
      union all
      select completed_at, 8, completed_at, status::text, nullif(task.attempt, 0), null, to_agent, null, status::text, run_ms, null,
        concat_ws(': ', 'exit code ' || task.exit_code, error_message)
      from task left join attempts using (attempt)
      where completed_at is not null and not exists (
        select from task_decisions where task_id = ${taskId} and ${mine()} and status_after = task.status
      )
    ), placed as (
      select *, (extract(epoch from place_at) * 1000000)::bigint as micros, coalesce(attempt, 0) as of_attempt,
        coalesce(step_number, 0) as of_step
      from events where ${untilKnown(db`place_at`)}
    ), latest as (
      select (extract(epoch from max(at)) * 1000000)::bigint as micros
      from (select place_at from placed union all select recorded_at from steps) as known (at)
    )
    select at, round(extract(epoch from at - (select created_at from task)) * 1000)::float8 as offset_ms, event, attempt,
      step_number, actor, action, status, round(duration_ms)::float8 as duration_ms,
      (select sum(output_size_bytes)::float8 from execution_output as output where output.log_id = placed.log_id) as output_size_bytes,
      nullif(left(detail, 500), '') as detail,
      concat_ws('.', micros, place, of_attempt, of_step, coalesce(${known ?? null}::bigint, (select micros from latest))) as cursor
    from placed
    where (micros, place, of_attempt, of_step) > (${after}::bigint, ${place}::int, ${ofAttempt}::int, ${ofStep}::int)
    order by micros, place, of_attempt, of_step
    limit ${limit}
  `;
}
