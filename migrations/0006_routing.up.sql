-- Work may wait for an agent to be chosen; why this agent was chosen stays with the work for ever.
alter table tasks alter column to_agent drop not null;
alter table tasks add column if not exists routing_id uuid;
alter table tasks add column if not exists routed_at timestamptz;
alter table tasks add column if not exists routing jsonb;
alter table tasks add column if not exists concurrency_key text;
alter table tasks add column if not exists handover jsonb;

alter table tasks drop constraint if exists tasks_agent_unless_undecided;
alter table tasks add constraint tasks_agent_unless_undecided check (
  to_agent is not null or status in ('pending', 'rejected', 'cancelled')
);
alter table tasks drop constraint if exists tasks_routing_whole;
alter table tasks add constraint tasks_routing_whole check ((routing_id is null) = (routed_at is null));

comment on column tasks.routing is 'The decision: strategy, confidence, parts, reason, at most 5 alternatives';
comment on column tasks.routing_id is 'Its row of router_performance_metrics; no foreign key, since that is dropped by retention';
comment on column tasks.concurrency_key is 'hints.concurrency_key: work of one agent and one key runs limits.per_key at once';

comment on column tasks.handover is 'What the agent before said when it passed the work on: from_agent, reason, context';

-- dispatch: how much of one key is with an agent
create index if not exists tasks_concurrency_key_idx on tasks (to_agent, concurrency_key)
where status = 'executing' and concurrency_key is not null;
-- dispatch: what may start, priority first, then age; apart from work with a key, of which much may wait behind little
drop index if exists tasks_ready_idx;
create index if not exists tasks_ready_idx on tasks (to_agent, priority desc, task_id) include (ready_at)
where status = 'approved' and concurrency_key is null;
-- dispatch: the same by key, so that it goes from key to key and past what waits behind a full one
create index if not exists tasks_ready_key_idx on tasks (to_agent, concurrency_key, priority desc, task_id) include (ready_at)
where status = 'approved' and concurrency_key is not null;
-- sweep: work that waits for an agent
create index if not exists tasks_undecided_idx on tasks (task_id) where status = 'pending' and to_agent is null;

-- One row a decision of the router, completed when the work ends. A time series: months are added and dropped by
-- lib/registry/partitions.ts, and what no month holds is in the default partition.
create table if not exists router_performance_metrics (
  routing_id uuid not null,
  routed_at timestamptz not null,
  task_id uuid not null,
  request_hash bytea not null,
  work_type text not null,
  total_routing_time_us integer not null,
  trigger_confidence numeric(5, 4),
  context_confidence numeric(5, 4),
  capability_confidence numeric(5, 4),
  historical_confidence numeric(5, 4),
  confidence_score numeric(5, 4),
  selected_agent text,
  strategy text not null,
  reason text not null,
  alternatives jsonb not null,
  cache_hit boolean not null,
  cache_age_seconds numeric(12, 3),

  -- how the work ended
  succeeded boolean,
  actual_quality_score numeric(5, 4),
  prediction_error numeric(5, 4),
  execution_time_ms bigint,
  completed_at timestamptz,

  -- what a person said of it
  feedback_score numeric(5, 4),
  feedback_by text,
  feedback_comment text,
  feedback_at timestamptz,

  -- The only index: the outcome finds its decision by it, and the reports of the last days read router-latency and router-cache
  -- from it alone. What an outcome changes is not in it, so that an outcome rewrites no index.
  constraint router_performance_metrics_pkey primary key (routed_at, routing_id)
    include (total_routing_time_us, cache_hit, cache_age_seconds),
  constraint router_performance_metrics_strategy_known check (
    strategy in ('explicit', 'work_type', 'scored', 'fallback', 'none')
  ),
  constraint router_performance_metrics_agent_unless_none check ((selected_agent is null) = (strategy = 'none')),
  constraint router_performance_metrics_time_not_negative check (total_routing_time_us >= 0),
  constraint router_performance_metrics_parts_range check (
    trigger_confidence between 0 and 1 and context_confidence between 0 and 1
    and capability_confidence between 0 and 1 and historical_confidence between 0 and 1
  ),
  constraint router_performance_metrics_confidence_range check (confidence_score between 0 and 1),
  constraint router_performance_metrics_cache_age_iff_hit check ((cache_age_seconds is not null) = cache_hit),
  constraint router_performance_metrics_quality_range check (actual_quality_score between 0 and 1),
  constraint router_performance_metrics_ended_whole check ((completed_at is null) = (succeeded is null)),
  constraint router_performance_metrics_feedback_range check (feedback_score between 0 and 1),
  constraint router_performance_metrics_feedback_whole check (
    (feedback_score is null) = (feedback_by is null) and (feedback_score is null) = (feedback_at is null)
  )
) partition by range (routed_at);

comment on column router_performance_metrics.prediction_error is 'actual_quality_score - confidence_score';
comment on column router_performance_metrics.task_id is 'No foreign key: what was decided stays known when the work is deleted';

create table if not exists router_performance_metrics_default partition of router_performance_metrics default;
