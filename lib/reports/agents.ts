import * as z from "zod";
import { Uuid } from "../protocol/messages.ts";
import { Count, days, limit, Milliseconds, Rate, report, runMs, since, Time } from "./report.ts";

export const agentMetrics = report({
  title: "Mean metrics by agent type: its steps, its tasks, and the numbers that its results told.",
  parameters: z.strictObject({ days }),
  row: z.strictObject({
    agent_type: z.string(),
    steps: Count,
    completed_steps: Count,
    failed_steps: Count,
    running_steps: Count.describe("told as begun and never as ended"),
    step_success_rate: Rate,
    mean_step_ms: Milliseconds.nullable(),
    p95_step_ms: Milliseconds.nullable(),
    completed_tasks: Count,
    failed_tasks: Count,
    task_success_rate: Rate,
    mean_run_ms: Milliseconds.nullable().describe("of the last attempts of these tasks, in milliseconds"),
    mean_metrics: z
      .record(z.string(), z.number())
      .describe("mean of each number in actual_resources; the 50 that most tasks have"),
  }),
  query: async (db, parameters, mine, now) =>
    await db`
    with step as (
      select agent_type, count(*) as steps,
        count(*) filter (where status = 'completed') as completed_steps,
        count(*) filter (where status = 'failed') as failed_steps,
        count(*) filter (where status = 'running') as running_steps,
        avg(duration_ms) as mean_step_ms,
        percentile_cont(0.95) within group (order by duration_ms) as p95_step_ms
      from execution_logs where ${mine()} and recorded_at >= ${since(db, parameters.days, now)}
      group by agent_type
    ), ended as materialized (
      select to_agent as agent_type, status, actual_resources, ${runMs(db, now)} as run_ms
      from tasks
      where ${mine()} and status in ('completed', 'failed') and completed_at >= ${since(db, parameters.days, now)}
    ), task as (
      select agent_type, count(*) filter (where status = 'completed') as completed_tasks,
        count(*) filter (where status = 'failed') as failed_tasks, avg(run_ms) as mean_run_ms
      from ended group by agent_type
    ), metric as (
      select agent_type, key, avg(value::numeric) as mean,
        row_number() over (partition by agent_type order by count(*) desc, key) as place
      from ended, jsonb_each(case jsonb_typeof(actual_resources) when 'object' then actual_resources end)
      where jsonb_typeof(value) = 'number' and char_length(key) <= 100
      group by agent_type, key
    ), metrics as (
      select agent_type, jsonb_object_agg(key, round(mean, 6)::float8) as mean_metrics
      from metric where place <= 50 group by agent_type
    )
    select agent_type, coalesce(steps, 0)::int as steps, coalesce(completed_steps, 0)::int as completed_steps,
      coalesce(failed_steps, 0)::int as failed_steps, coalesce(running_steps, 0)::int as running_steps,
      round(completed_steps::numeric / nullif(completed_steps + failed_steps, 0), 4)::float8 as step_success_rate,
      round(mean_step_ms, 1)::float8 as mean_step_ms, round(p95_step_ms::numeric, 1)::float8 as p95_step_ms,
      coalesce(completed_tasks, 0)::int as completed_tasks, coalesce(failed_tasks, 0)::int as failed_tasks,
      round(completed_tasks::numeric / nullif(completed_tasks + failed_tasks, 0), 4)::float8 as task_success_rate,
      round(mean_run_ms::numeric, 1)::float8 as mean_run_ms, coalesce(mean_metrics, '{}') as mean_metrics
    from step full join task using (agent_type) left join metrics using (agent_type)
    order by agent_type
  `,
});

export const failedSteps = report({
  title: "Failed steps grouped by error, the most frequent first.",
  parameters: z.strictObject({ days, limit }),
  row: z.strictObject({
    error: z.string().describe("first line of the latest; UUIDs and numbers of five digits or more make no difference"),
    steps: Count,
    tasks: Count,
    agent_types: z.array(z.string()),
    actions: z.array(z.string()).describe("ten of them at most"),
    first_seen: Time,
    last_seen: Time,
    latest_task_id: Uuid,
  }),
  query: async (db, parameters, mine, now) =>
    await db`
    with failed as (
      select logs.log_id, task_id, agent_type, action, recorded_at, left(rtrim(coalesce(
        substring(output_summary from '\\S[^\\n\\r]*'),
        case when tasks.status = 'failed' and tasks.attempt = logs.attempt
          then substring(error_message from '\\S[^\\n\\r]*')
        end,
        'no reason told'
      )), 300) as error
      from execution_logs as logs join tasks using (task_id)
      where ${mine("logs")} and logs.status = 'failed' and recorded_at >= ${since(db, parameters.days, now)}
    )
    select (array_agg(error order by recorded_at desc, log_id desc))[1] as error, count(*)::int as steps,
      count(distinct task_id)::int as tasks, array_agg(distinct agent_type) as agent_types,
      (array_agg(distinct action))[1:10] as actions, min(recorded_at) as first_seen, max(recorded_at) as last_seen,
      (array_agg(task_id order by recorded_at desc, log_id desc))[1] as latest_task_id
    from failed
    group by regexp_replace(error, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\\d{5,}', '#', 'gi')
    order by steps desc, last_seen desc, error
    limit ${parameters.limit}
  `,
});
