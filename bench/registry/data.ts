import { system } from "../../lib/access/actor.ts";
import { keepPartitions } from "../../lib/router/series.ts";
import { seriesSettings } from "../../lib/router/settings.ts";
import type { Pool } from "../../lib/runtime/postgres/db.ts";
import { readSettings } from "../../lib/runtime/settings.ts";

/** How much of each the tables hold. */
export type Amounts = { definitions: number; decisions: number; events: number };

/** Months over which decisions and events are spread, this one the last. */
const MONTHS = 12;

const TABLES = ["agent_definitions", "router_performance_metrics", "agent_transformation_events"];

/**
 * Fills the three tables of the registry with believable rows, spread evenly over the last year: agents of many kinds, decisions of
 * which nineteen in twenty have ended, handovers of which one in five is nested. The same numbers give the same rows but for ids.
 */
export async function fillRegistry(db: Pool, { definitions, decisions, events }: Amounts): Promise<void> {
  for (let back = MONTHS; back >= 0; back--) {
    const month = new Date();
    month.setUTCMonth(month.getUTCMonth() - back, 1);
    await keepPartitions(db, system("bench"), { ...readSettings(seriesSettings, {}), retentionMonths: 24 }, month);
  }
  // Loaded as a replica is: nobody's references are checked again row by row. Needs a superuser; the pool has one connection.
  await db`set session_replication_role = replica`;
  // Built at the end, over all rows, an index takes a third of the time that it takes row by row.
  await db`update pg_index set indisready = false where indrelid in (
    select relid from unnest(${TABLES}::text[]::regclass[]) as tables, pg_partition_tree(tables)
    union all select 'agent_definitions'::regclass
  )`;
  await db`
    insert into agent_definitions (
      definition_id, agent_name, agent_version, yaml_config, parsed_metadata, capabilities, triggers, success_rate, quality_score,
      avg_execution_time_ms, definition_hash, queue_url, active, routable
    )
    select gen_random_uuid(), 'agent-' || number, '1.0.0', config, config, array['capability-' || number % 997, 'common-' || number % 7],
      array['do thing ' || number, 'kind ' || number % 97], (number % 100) / 100.0, (number % 89) / 89.0, 100 + number % 9000,
      lpad(to_hex(number), 64, '0'), 'http://127.0.0.1/queue/agent-' || number, true, true
    from generate_series(1, ${definitions}::int) as number
    cross join lateral (select jsonb_build_object(
      'description', 'Does thing ' || number, 'work_types', jsonb_build_array('kind' || number % 97 || '.*'),
      'limits', jsonb_build_object('concurrency', 1 + number % 20)
    ) as config) as described
  `;
  await db`
    insert into router_performance_metrics (
      routing_id, routed_at, task_id, request_hash, work_type, total_routing_time_us, trigger_confidence, context_confidence,
      capability_confidence, historical_confidence, confidence_score, selected_agent, strategy, reason, alternatives, cache_hit,
      cache_age_seconds, succeeded, actual_quality_score, prediction_error, execution_time_ms, completed_at
    )
    select gen_random_uuid(), routed_at, gen_random_uuid(), sha256(int4send(number % 50000)), 'kind' || (1 + number % 400) % 97 || '.do',
      20 + number % 400, (number % 101) / 100.0, 0.5, 1, 0.5, confidence, 'agent-' || 1 + number % 400, 'scored',
      'agent-' || 1 + number % 400 || ' has the highest score of 3 agents',
      jsonb_build_array(jsonb_build_object('agent', 'agent-' || 1 + (number + 97) % 400, 'confidence', 0.4)),
      number % 3 = 0, case when number % 3 = 0 then number % 60 end, succeeded, quality, quality - confidence,
      case when succeeded is not null then 50 + number % 5000 end, case when succeeded is not null then routed_at + interval '5 s' end
    from generate_series(1, ${decisions}::int) as number
    cross join lateral (select
      now() - interval '350 days' * (1 - number::float8 / ${decisions}::int) as routed_at,
      (40 + number % 60) / 100.0 as confidence, case when number % 20 > 0 then number % 11 > 0 end as succeeded
    ) as first
    cross join lateral (select case when succeeded then (50 + number % 51) / 100.0 when not succeeded then 0 end as quality) as second
  `;
  await db`
    insert into agent_transformation_events (
      event_id, occurred_at, task_id, correlation_id, session_id, source_agent, target_agent, event_type, context_snapshot,
      routing_confidence, routing_strategy, transformation_time_ms, initialisation_time_ms, execution_time_ms, quality_score, completed_at
    )
    select gen_random_uuid(), occurred_at, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'agent-' || 1 + number % 400,
      'agent-' || 1 + (number + 1) % 400, 'handover', jsonb_build_object('request_text', 'Do thing ' || number), 0.7, 'scored',
      number % 100, number % 900, number % 9000, 0.8, occurred_at + interval '9 s'
    from generate_series(1, ${events}::int) as number
    cross join lateral (select now() - interval '350 days' * (1 - number::float8 / ${events}::int) as occurred_at) as spread
  `;
  await db`
    insert into agent_transformation_events (
      event_id, occurred_at, parent_event_id, parent_occurred_at, task_id, correlation_id, session_id, source_agent, target_agent,
      event_type, context_snapshot, quality_score, completed_at
    )
    select gen_random_uuid(), occurred_at + interval '1 s', event_id, occurred_at, task_id, correlation_id, session_id, target_agent,
      source_agent, 'handover', '{}', 0.5, completed_at
    from agent_transformation_events as parent
    where get_byte(uuid_send(event_id), 0) < 51
  `;
  await db`set session_replication_role = origin`;
  for (const table of TABLES) await db`reindex table ${db(table)}`;
  await db`vacuum analyze agent_definitions, router_performance_metrics, agent_transformation_events`;
}

/** A piece of work that has ended, and was routed and handed over by rows that are there. Answers its task_id. */
export async function plantTask(db: Pool): Promise<string> {
  const [planted] = await db<{ taskId: string }[]>`
    with decided as (
      select * from router_performance_metrics where routed_at > now() - interval '3 days' order by routed_at limit 1
    ), event as (
      select task_id from agent_transformation_events where occurred_at > now() - interval '3 days' order by occurred_at limit 1
    )
    insert into tasks (
      task_id, status, request_id, request_hash, trace_id, created_by, request_text, work_type, parameters, hints, to_agent, priority,
      timeout_seconds, max_attempts, message_bytes, approval, approved_by, approved_at, run_id, attempt, attempts_used,
      dispatched_at, started_at, created_at, completed_at, routing_id, routed_at
    )
    select event.task_id, 'completed', event.task_id, '', event.task_id, 'bench', 'Do thing', work_type, '{}', '{}', selected_agent, 5,
      60, 3, 100, 'auto', 'policy', decided.routed_at, event.task_id, 1, 1, decided.routed_at, decided.routed_at,
      now() - interval '3 days', now(), routing_id, decided.routed_at
    from decided, event
    returning task_id
  `;
  if (planted === undefined) throw new Error("fill the tables first");
  return planted.taskId;
}
