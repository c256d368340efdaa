import * as z from "zod";
import { CallerError } from "../errors.ts";
import { must } from "../input/faults.ts";
import { Uuid } from "../protocol/messages.ts";
import type { Db } from "../runtime/postgres/db.ts";
import { STATUSES } from "../work/core/lifecycle.ts";
import { statusColumn } from "../work/core/task-row.ts";
import {
  Count,
  clock,
  Days,
  days,
  Limit,
  lastMoment,
  limit,
  Milliseconds,
  type Mine,
  Rate,
  report,
  runMs,
  since,
  Time,
} from "./report.ts";

export const failedTasks = report({
  title: "Tasks that failed in the last days, newest first, each with the step that it failed at.",
  parameters: z.strictObject({ days, limit }),
  row: z.strictObject({
    task_id: Uuid,
    failed_at: Time,
    work_type: z.string(),
    agent: z.string(),
    attempts: Count,
    exit_code: z.int().nullable(),
    error_message: z.string().nullable().describe("its first 1000 characters"),
    failed_step: z.int().nullable().describe("the last failed step of the last attempt"),
    failed_action: z.string().nullable(),
    run_ms: Milliseconds.nullable(),
    request_text: z.string().describe("its first 200 characters"),
    created_by: z.string(),
    trace_id: Uuid,
  }),
  query: async (db, parameters, mine, now) =>
    await db`
    with failed as materialized (
      select task_id, completed_at, work_type, to_agent, attempt, exit_code, error_message, request_text, created_by,
        trace_id, ${runMs(db, now)} as run_ms
      from tasks
      where ${mine()} and status = 'failed' and completed_at >= ${since(db, parameters.days, now)}
      order by completed_at desc, task_id desc
      limit ${parameters.limit}
    )
    select task_id, completed_at as failed_at, work_type, to_agent as agent, attempt as attempts, exit_code,
      left(error_message, 1000) as error_message, step_number as failed_step, action as failed_action, run_ms,
      left(request_text, 200) as request_text, created_by, trace_id
    from failed left join lateral (
      select step_number, action from execution_logs as logs
      where logs.task_id = failed.task_id and logs.attempt = failed.attempt and logs.status = 'failed'
      order by step_number desc
      limit 1
    ) as step on true
    order by completed_at desc, task_id desc
  `,
});

export const tasksByStatus = report({
  title: "How many tasks are in each status now, and since when.",
  parameters: z.strictObject({}),
  row: z.strictObject({
    status: z.enum(STATUSES),
    tasks: Count,
    share: z.number().nullable().describe("of all tasks; null where there are none"),
    oldest_created_at: Time.nullable(),
    newest_created_at: Time.nullable(),
  }),
  query: async (db, _parameters, mine) =>
    await db`
    select status, coalesce(tasks, 0)::int as tasks, round(coalesce(tasks, 0) / sum(tasks) over (), 4)::float8 as share,
      oldest_created_at, newest_created_at
    from unnest(${[...STATUSES]}::text[]) with ordinality as known (status, place) left join (
      select ${statusColumn(db)} as status, count(*) as tasks, min(created_at) as oldest_created_at, max(created_at) as newest_created_at
      from tasks where ${mine()} group by 1
    ) as present using (status)
    order by place
  `,
});

export const longestRunning = report({
  title: "The tasks whose latest attempt ran longest, those still running included, each with its slowest step.",
  parameters: z.strictObject({ days, limit: Limit.default(10) }),
  row: z.strictObject({
    task_id: Uuid,
    status: z.enum(STATUSES),
    work_type: z.string(),
    agent: z.string(),
    run_ms: Milliseconds.describe("of the latest attempt, until now where it is not over"),
    total_ms: Milliseconds.describe("since it was submitted, with all waiting and every attempt"),
    attempts: Count,
    timeout_seconds: z.int(),
    started_at: Time,
    ended_at: Time.nullable(),
    slowest_step: z.int().nullable(),
    slowest_action: z.string().nullable(),
    slowest_step_ms: Milliseconds.nullable(),
    request_text: z.string().describe("its first 200 characters"),
  }),
  query: async (db, parameters, mine, now) =>
    await db`
    with longest as materialized (
      select task_id, ${statusColumn(db)} as status, work_type, to_agent, attempt, timeout_seconds, started_at, completed_at,
        request_text, ${runMs(db, now)} as run_ms,
        round(extract(epoch from coalesce(completed_at, ${clock(db, now)}) - created_at) * 1000)::float8 as total_ms
      from tasks
      where ${mine()} and started_at is not null and (completed_at is not null or status = 'executing')
        and ${lastMoment(db)} >= ${since(db, parameters.days, now)}
      order by run_ms desc, task_id
      limit ${parameters.limit}
    )
    select task_id, status, work_type, to_agent as agent, run_ms, total_ms, attempt as attempts, timeout_seconds,
      started_at, completed_at as ended_at, step_number as slowest_step, action as slowest_action,
      duration_ms::float8 as slowest_step_ms, left(request_text, 200) as request_text
    from longest left join lateral (
      select step_number, action, duration_ms from execution_logs as logs
      where logs.task_id = longest.task_id and logs.attempt = longest.attempt and duration_ms is not null
      order by duration_ms desc, step_number
      limit 1
    ) as step on true
    order by run_ms desc, task_id
  `,
});

/** A zone by its name. Offsets such as +02:00 are refused, because Postgres reads their sign the other way round. */
export const TimeZone = z
  .string()
  .max(64)
  .refine(isTimeZone, must("be the name of a time zone, such as Europe/Berlin"))
  .describe("in which a day begins");

function isTimeZone(name: string): boolean {
  try {
    return /^[A-Za-z]/.test(name) && Boolean(new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

/** Postgres reads a name that it does not have as a rule of POSIX, or fails. */
async function mustKnow(db: Db, zone: string): Promise<void> {
  if (zone === "UTC") return;
  const known = await db`select from pg_timezone_names where lower(name) = lower(${zone}) limit 1`;
  if (known.length > 0) return;
  const message = "must be the name of a time zone that the database has, such as Europe/Berlin";
  throw new CallerError(400, "invalid_input", `time_zone ${message}.`, { fields: [{ field: "time_zone", message }] });
}

export const successRate = report({
  title: "Of the tasks that ended on each day, today included, the share that completed.",
  parameters: z.strictObject({
    days: Days.default(7).describe("how many days, today being the last"),
    time_zone: TimeZone.default("UTC"),
  }),
  row: z.strictObject({
    day: z.iso.date(),
    ended: Count,
    completed: Count,
    failed: Count,
    cancelled: Count,
    rejected: Count,
    success_rate: Rate,
  }),
  query: async (db, parameters, mine, now) => {
    await mustKnow(db, parameters.time_zone);
    return await byDay(db, parameters.days, parameters.time_zone, mine, now);
  },
});

async function byDay(db: Db, dayCount: number, zone: string, mine: Mine, now: Date | undefined) {
  return await db`
    with today as (
      select (${clock(db, now)} at time zone ${zone})::date as day
    ), days as (
      select day - back as day from today, generate_series(${dayCount}::int - 1, 0, -1) as back
    ), ended as (
      select (completed_at at time zone ${zone})::date as day, status
      from tasks
      where ${mine()} and completed_at >= (select min(day) from days)::timestamp at time zone ${zone}
    )
    select to_char(day, 'YYYY-MM-DD') as day,
      count(status)::int as ended,
      (count(*) filter (where status = 'completed'))::int as completed,
      (count(*) filter (where status = 'failed'))::int as failed,
      (count(*) filter (where status = 'cancelled'))::int as cancelled,
      (count(*) filter (where status = 'rejected'))::int as rejected,
      round(
        (count(*) filter (where status = 'completed'))::numeric
          / nullif(count(*) filter (where status in ('completed', 'failed')), 0),
        4
      )::float8 as success_rate
    from days left join ended using (day)
    group by day
    order by day
  `;
}
