-- One row each time that work changes hands or an agent takes a part: what was known then, and what came of it. Nested by
-- parent. A time series like router_performance_metrics.
create table if not exists agent_transformation_events (
  event_id uuid not null,
  occurred_at timestamptz not null,
  parent_event_id uuid,
  parent_occurred_at timestamptz,
  task_id uuid not null,
  correlation_id uuid not null,
  session_id uuid not null,
  source_agent text not null,
  target_agent text not null,
  source_definition_id uuid constraint agent_transformation_events_source_fkey references agent_definitions,
  target_definition_id uuid constraint agent_transformation_events_target_fkey references agent_definitions,
  event_type text not null,
  role text,
  context_snapshot jsonb not null,
  routing_confidence numeric(5, 4),
  routing_strategy text,
  transformation_time_ms bigint,
  initialisation_time_ms bigint,
  execution_time_ms bigint,
  quality_score numeric(5, 4),
  error_message text,
  completed_at timestamptz,
  constraint agent_transformation_events_pkey primary key (event_id, occurred_at),
  constraint agent_transformation_events_parent_fkey foreign key (parent_event_id, parent_occurred_at)
    references agent_transformation_events (event_id, occurred_at),
  constraint agent_transformation_events_parent_whole check ((parent_event_id is null) = (parent_occurred_at is null)),
  constraint agent_transformation_events_parent_other check (parent_event_id <> event_id),
  constraint agent_transformation_events_type_known check (event_type in ('handover', 'sub_role')),
  constraint agent_transformation_events_role_iff_sub_role check ((role is not null) = (event_type = 'sub_role')),
  constraint agent_transformation_events_confidence_range check (routing_confidence between 0 and 1),
  constraint agent_transformation_events_quality_range check (quality_score between 0 and 1),
  constraint agent_transformation_events_times_not_negative check (
    least(transformation_time_ms, initialisation_time_ms, execution_time_ms) >= 0
  )
) partition by range (occurred_at);

comment on column agent_transformation_events.correlation_id is 'trace_id of the work';
comment on column agent_transformation_events.session_id is 'run_id of the work';
comment on column agent_transformation_events.context_snapshot is 'Enough to play it again: the request, the steps so far, the agent''s own context';
comment on column agent_transformation_events.transformation_time_ms is 'From the call to the dispatch of the request';
comment on column agent_transformation_events.initialisation_time_ms is 'From the dispatch to the agent''s first word';

-- the events of one piece of work, and the last of them, under which the next is nested
create index if not exists agent_transformation_events_task_id_idx on agent_transformation_events (task_id, occurred_at);
-- retention: what is nested under the events of a month that goes
create index if not exists agent_transformation_events_parent_idx
on agent_transformation_events (parent_event_id, parent_occurred_at) where parent_event_id is not null;

create table if not exists agent_transformation_events_default partition of agent_transformation_events default;
