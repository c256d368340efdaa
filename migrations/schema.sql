-- The schema that the migrations make, read back from Postgres. For reading and reviewing: npm run generate writes it,
-- npm run generated compares it, npm run migrate is what makes it.

create type step_status as enum ('running', 'completed', 'failed');

create type task_status as enum ('pending', 'approved', 'executing', 'completed', 'failed', 'rejected', 'cancelled');

create type team_role as enum ('viewer', 'member', 'admin', 'owner');

create or replace function agent_definitions_touch() returns trigger language plpgsql as $function$
begin
  new.updated_at := now();
  return new;
end;
$function$;

create or replace function bounded_ai_use(uses jsonb) returns jsonb language sql immutable parallel safe as $function$
  select coalesce(jsonb_agg(entry order by place) filter (where place <= 500), '[]') || case
    when count(*) > 500 then jsonb_build_array(jsonb_build_object(
      'model', '(others)',
      'uses', sum(case when entry ->> 'model' = '(others)' and jsonb_typeof(entry -> 'uses') = 'number' then (entry -> 'uses')::numeric else 1 end)
        filter (where place > 500),
      'tokens', sum(case jsonb_typeof(entry -> 'tokens') when 'number' then (entry -> 'tokens')::numeric end) filter (where place > 500),
      'cost', sum(case jsonb_typeof(entry -> 'cost') when 'number' then (entry -> 'cost')::numeric end) filter (where place > 500),
      'cut', true
    ))
    else '[]'
  end
  from jsonb_array_elements(uses) with ordinality as told (entry, place)
$function$;

create or replace function end_series_month(series text, month date, archive boolean) returns boolean language plpgsql security definer set search_path to 'public', 'pg_temp' as $function$
declare
  part constant text := series || to_char(month, '_YYYY_MM');
  low constant timestamptz := date_trunc('month', month::timestamp) at time zone 'utc';
  high constant timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') at time zone 'utc';
begin
  if series_column(series) is null then raise exception 'no time series is called %', series using errcode = 'undefined_table'; end if;
  if to_regclass(format('%I', part)) is null then return false; end if;
  -- Whoever may call this keeps the record: what is young is not dropped, whatever it says.
  if high > date_trunc('month', now()) then raise exception 'the month % of % is not over', month, series using errcode = 'invalid_parameter_value'; end if;
  if archive then
    execute format('create table %I (like %I including all)', part || '_archived', part);
    execute format('insert into %I select * from %I', part || '_archived', part);
  end if;
  if series = 'agent_transformation_events' then
    update agent_transformation_events set parent_event_id = null, parent_occurred_at = null
    where parent_event_id is not null and parent_occurred_at >= low and parent_occurred_at < high;
  end if;
  execute format('alter table %I detach partition %I', series, part);
  execute format('drop table %I', part);
  return true;
end
$function$;

create or replace function enter_team(team uuid, with_key uuid) returns void language plpgsql as $function$
begin
  if with_key is not null and not exists (
    select from api_keys where key_id = with_key and revoked_at is null and (expires_at is null or expires_at > now())
  ) then
    raise exception 'the key is not valid' using errcode = 'WB401';
  end if;
  perform set_config('waybill.team', team::text, true), set_config('role', 'waybill_team', true);
end
$function$;

create or replace function keep_audit_event() returns trigger language plpgsql as $function$
begin
  if tg_op = 'UPDATE' and old.chain_seq is null and new.chain_seq is not null
    and (to_jsonb(new) - array['chain_seq', 'hash']) = (to_jsonb(old) - array['chain_seq', 'hash']) then
    return new;
  end if;
  raise exception 'the record of who did what is only added to' using errcode = 'insufficient_privilege';
end
$function$;

create or replace function make_series_month(series text, month date) returns boolean language plpgsql security definer set search_path to 'public', 'pg_temp' as $function$
declare
  col constant text := series_column(series);
  rest constant text := series || '_default';
  part constant text := series || to_char(month, '_YYYY_MM');
  low constant timestamptz := date_trunc('month', month::timestamp) at time zone 'utc';
  high constant timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') at time zone 'utc';
  is_caught boolean;
  loop_name text;
  loop_text text;
begin
  if col is null then raise exception 'no time series is called %', series using errcode = 'undefined_table'; end if;
  if to_regclass(format('%I', part)) is not null then return false; end if;
  execute format('lock table %I in access exclusive mode', rest);
  execute format('select exists (select from %I where %I >= $1 and %I < $2)', rest, col, col) into is_caught using low, high;
  if is_caught then
    -- A row cannot leave while others of its table refer to it: the reference is taken off and put back.
    select conname, pg_get_constraintdef(oid) into loop_name, loop_text from pg_constraint
    where conrelid = series::regclass and confrelid = series::regclass and contype = 'f' and conparentid = 0;
    if loop_name is not null then execute format('alter table %I drop constraint %I', series, loop_name); end if;
  end if;
  execute format('create table %I (like %I including all)', part, series);
  if is_caught then
    -- Moving is no deleting, which a trigger may refuse.
    execute format('alter table %I disable trigger user', rest);
    execute format(
      'with moved as (delete from %I where %I >= $1 and %I < $2 returning *) insert into %I select * from moved', rest, col, col, part
    ) using low, high;
    execute format('alter table %I enable trigger user', rest);
  end if;
  execute format('alter table %I attach partition %I for values from (%L) to (%L)', series, part, low, high);
  if loop_name is not null then execute format('alter table %I add constraint %I %s', series, loop_name, loop_text); end if;
  return true;
end
$function$;

create or replace function new_audit_id() returns uuid language sql as $function$
  select encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid())
        placing substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6),
      52, 1), 53, 1),
    'hex')::uuid
$function$;

create or replace function registry_state_advance() returns trigger language plpgsql as $function$
begin
  insert into registry_state as state (revision) values (1)
  on conflict on constraint registry_state_pkey do update set revision = state.revision + 1;
  return null;
end;
$function$;

create or replace function series_column(series text) returns text language sql immutable as $function$
  select case series
    when 'router_performance_metrics' then 'routed_at'
    when 'agent_transformation_events' then 'occurred_at'
    when 'audit_events' then 'at'
  end
$function$;

create or replace function series_months(series text) returns table(month text, caught boolean) language plpgsql security definer set search_path to 'public', 'pg_temp' as $function$
begin
  if series_column(series) is null then raise exception 'no time series is called %', series using errcode = 'undefined_table'; end if;
  return query
    select replace(right(partition.relname, 7), '_', '-'), false
    from pg_inherits join pg_class as partition on partition.oid = inhrelid
    where inhparent = series::regclass and partition.relname <> series || '_default';
  return query execute format(
    'select distinct to_char(%I at time zone ''utc'', ''YYYY-MM''), true from %I', series_column(series), series || '_default'
  );
end
$function$;

create table agent_definitions (
  definition_id uuid not null,
  agent_name text not null,
  agent_version text not null,
  yaml_config jsonb not null,
  parsed_metadata jsonb not null,
  capabilities text[] not null,
  triggers text[] not null,
  success_rate numeric(5,4),
  quality_score numeric(5,4),
  avg_execution_time_ms bigint,
  definition_hash text not null,
  queue_url text,
  active boolean not null,
  routable boolean not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  constraint agent_definitions_pkey primary key (definition_id),
  constraint agent_definitions_version_key unique (team_id, agent_name, agent_version),
  constraint agent_definitions_hash_sha256 check (definition_hash ~ '^[0-9a-f]{64}$'),
  constraint agent_definitions_quality_score_range check (quality_score >= 0::numeric and quality_score <= 1::numeric),
  constraint agent_definitions_success_rate_range check (success_rate >= 0::numeric and success_rate <= 1::numeric),
  constraint agent_definitions_time_not_negative check (avg_execution_time_ms >= 0)
);
comment on column agent_definitions.yaml_config is 'The definition as it was given; defaults are not filled in';
comment on column agent_definitions.parsed_metadata is 'The definition with its defaults, as the router and the dispatcher read it';
comment on column agent_definitions.success_rate is 'Of this name over all work types, decayed; null until work has ended. Written with the result';
comment on column agent_definitions.queue_url is 'Where no AGENT_QUEUES names one; null where the agent has none yet';
comment on column agent_definitions.updated_at is 'When the definition changed; the rates move without it';
create unique index agent_definitions_active_key on agent_definitions (team_id, agent_name) where active;
create index agent_definitions_capabilities_idx on agent_definitions using gin (capabilities);
create trigger agent_definitions_advance_registry after insert or delete or update of agent_name, agent_version, yaml_config, parsed_metadata, capabilities, triggers, definition_hash, queue_url, active, routable on agent_definitions for each statement execute function registry_state_advance();
create trigger agent_definitions_touch before update of agent_name, agent_version, yaml_config, parsed_metadata, capabilities, triggers, definition_hash, queue_url, active, routable on agent_definitions for each row execute function agent_definitions_touch();

create table agent_performance (
  agent_name text not null,
  work_type text not null,
  weight double precision not null default 0,
  success_sum double precision not null default 0,
  quality_weight double precision not null default 0,
  quality_sum double precision not null default 0,
  time_weight double precision not null default 0,
  time_ms_sum double precision not null default 0,
  observed_at timestamptz not null,
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  constraint agent_performance_pkey primary key (team_id, agent_name, work_type)
);

create table agent_presence (
  agent_name text not null,
  seen_at timestamptz not null,
  instance text,
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  constraint agent_presence_pkey primary key (team_id, agent_name)
);

create table agent_rate (
  agent_name text not null,
  recent timestamptz[] not null,
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  constraint agent_rate_pkey primary key (team_id, agent_name)
);

create table agent_transformation_events (
  event_id uuid not null,
  occurred_at timestamptz not null,
  parent_event_id uuid,
  parent_occurred_at timestamptz,
  task_id uuid not null,
  correlation_id uuid not null,
  session_id uuid not null,
  source_agent text not null,
  target_agent text not null,
  source_definition_id uuid,
  target_definition_id uuid,
  event_type text not null,
  role text,
  context_snapshot jsonb not null,
  routing_confidence numeric(5,4),
  routing_strategy text,
  transformation_time_ms bigint,
  initialisation_time_ms bigint,
  execution_time_ms bigint,
  quality_score numeric(5,4),
  error_message text,
  completed_at timestamptz,
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  constraint agent_transformation_events_pkey primary key (event_id, occurred_at),
  constraint agent_transformation_events_parent_fkey foreign key (parent_event_id, parent_occurred_at) references agent_transformation_events(event_id, occurred_at),
  constraint agent_transformation_events_source_fkey foreign key (source_definition_id) references agent_definitions(definition_id),
  constraint agent_transformation_events_target_fkey foreign key (target_definition_id) references agent_definitions(definition_id),
  constraint agent_transformation_events_confidence_range check (
    routing_confidence >= 0::numeric and routing_confidence <= 1::numeric
  ),
  constraint agent_transformation_events_parent_other check (parent_event_id <> event_id),
  constraint agent_transformation_events_parent_whole check ((parent_event_id is null) = (parent_occurred_at is null)),
  constraint agent_transformation_events_quality_range check (
    quality_score >= 0::numeric and quality_score <= 1::numeric
  ),
  constraint agent_transformation_events_role_iff_sub_role check ((role is not null) = (event_type = 'sub_role')),
  constraint agent_transformation_events_times_not_negative check (
    least(transformation_time_ms, initialisation_time_ms, execution_time_ms) >= 0
  ),
  constraint agent_transformation_events_type_known check (event_type in ('handover', 'sub_role'))
) partition by range (occurred_at);
comment on column agent_transformation_events.correlation_id is 'trace_id of the work';
comment on column agent_transformation_events.session_id is 'run_id of the work';
comment on column agent_transformation_events.context_snapshot is 'Enough to play it again: the request, the steps so far, the agent''s own context';
comment on column agent_transformation_events.transformation_time_ms is 'From the call to the dispatch of the request';
comment on column agent_transformation_events.initialisation_time_ms is 'From the dispatch to the agent''s first word';
create index agent_transformation_events_parent_idx on only agent_transformation_events (parent_event_id, parent_occurred_at) where parent_event_id is not null;
create index agent_transformation_events_task_id_idx on only agent_transformation_events (task_id, occurred_at);

create table agent_transformation_events_default partition of agent_transformation_events default;

create table audit_chains (
  team_id uuid not null,
  chain_seq bigint not null default 0,
  hash bytea not null default '\x'::bytea,
  updated_at timestamptz not null default now(),
  constraint audit_chains_pkey primary key (team_id)
);

create table audit_events (
  audit_id uuid not null default new_audit_id(),
  at timestamp(3) with time zone not null default clock_timestamp(),
  team_id uuid,
  actor_kind text not null,
  actor_id text,
  actor text not null,
  key_id uuid,
  on_behalf_of text,
  action text not null,
  object_kind text not null,
  object_id text,
  reason text,
  details jsonb not null default '{}'::jsonb,
  source_ip text,
  trace_id uuid,
  chain_seq bigint,
  hash bytea,
  constraint audit_events_pkey primary key (audit_id, at),
  constraint audit_events_chain_whole check ((chain_seq is null) = (hash is null)),
  constraint audit_events_hash_sha256 check (octet_length(hash) = 32),
  constraint audit_events_seq_positive check (chain_seq > 0)
) partition by range (at);
comment on column audit_events.at is 'In whole milliseconds, so that it is the same in every program that checks the hash';
comment on column audit_events.team_id is 'No foreign key, for the row outlives the team; null for what is no team''s, such as an unknown key';
comment on column audit_events.actor_id is 'The user, or else the key, that actor names';
comment on column audit_events.details is 'Small: a status before and after, a role. Never text, parameters or secrets';
comment on column audit_events.chain_seq is 'The place in its team''s chain; null until the sweep has come by';
comment on column audit_events.hash is 'SHA-256 of the hash before it and the row as GET /audit tells it';
create index audit_events_object_idx on only audit_events (team_id, object_id, audit_id);
create index audit_events_team_idx on only audit_events (team_id, audit_id);
create index audit_events_unchained_idx on only audit_events (team_id, at, audit_id) where chain_seq is null;
create trigger audit_events_kept before delete or update on audit_events for each row execute function keep_audit_event();
create trigger audit_events_not_emptied before truncate on audit_events for each statement execute function keep_audit_event();

create table audit_events_default partition of audit_events default;

create table llm_calls (
  attempt_id uuid not null,
  call_id uuid not null,
  attempt_number smallint not null,
  task_id uuid,
  trace_id uuid not null,
  agent text,
  chain text not null,
  dialect text not null,
  model text not null,
  model_asked text not null,
  model_served text,
  provider text not null,
  external boolean not null,
  streamed boolean not null,
  input_tokens integer,
  output_tokens integer,
  cache_read_tokens integer,
  cache_write_tokens integer,
  reasoning_tokens integer,
  usage_source text not null,
  cost_usd numeric(18,10),
  cost_unknown text,
  first_token_ms integer,
  latency_ms integer not null,
  outcome text not null,
  error_class text,
  error_status smallint,
  started_at timestamptz not null,
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  constraint llm_calls_pkey primary key (attempt_id),
  constraint llm_calls_attempt_key unique (call_id, attempt_number),
  constraint llm_calls_cost_not_negative check (cost_usd >= 0::numeric),
  constraint llm_calls_cost_or_reason check ((cost_usd is null) = (cost_unknown is not null)),
  constraint llm_calls_error_iff_failed check (error_class is not null or (outcome in ('answered', 'aborted'))),
  constraint llm_calls_outcome_known check (outcome in ('answered', 'failed', 'cut', 'aborted')),
  constraint llm_calls_tokens_not_negative check (
    least(input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens) >= 0
  ),
  constraint llm_calls_usage_source_known check (usage_source in ('provider', 'estimated', 'none'))
);
comment on column llm_calls.cost_usd is 'Null where it is unknown, with the reason in cost_unknown; never 0 for unknown';
create index llm_calls_started_at_idx on llm_calls (team_id, started_at);
create index llm_calls_task_id_idx on llm_calls (task_id) where task_id is not null;

create table llm_spend (
  scope text not null,
  scope_key text not null,
  spent_usd numeric(18,10) not null default 0,
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  constraint llm_spend_pkey primary key (team_id, scope, scope_key),
  constraint llm_spend_scope_known check (scope in ('task', 'agent', 'day'))
);

create table llm_reservations (
  call_id uuid not null,
  scope text not null,
  scope_key text not null,
  usd numeric(18,10) not null,
  expires_at timestamptz not null,
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  constraint llm_reservations_pkey primary key (team_id, call_id, scope, scope_key),
  constraint llm_reservations_spend_fkey foreign key (team_id, scope, scope_key) references llm_spend(team_id, scope, scope_key) on delete cascade
);
create index llm_reservations_scope_idx on llm_reservations (team_id, scope, scope_key);

create table llm_switch (
  one boolean not null default true,
  external boolean not null,
  reason text,
  changed_at timestamptz not null default now(),
  constraint llm_switch_pkey primary key (one),
  constraint llm_switch_one_row check (one)
);

create table llm_texts (
  attempt_id uuid not null,
  prompt text not null,
  answer text,
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  constraint llm_texts_pkey primary key (attempt_id),
  constraint llm_texts_attempt_id_fkey foreign key (attempt_id) references llm_calls(attempt_id) on delete cascade
);

create table registry_state (
  one boolean not null default true,
  revision bigint not null default 0,
  constraint registry_state_pkey primary key (one),
  constraint registry_state_one_row check (one)
);

create table router_performance_metrics (
  routing_id uuid not null,
  routed_at timestamptz not null,
  task_id uuid not null,
  request_hash bytea not null,
  work_type text not null,
  total_routing_time_us integer not null,
  trigger_confidence numeric(5,4),
  context_confidence numeric(5,4),
  capability_confidence numeric(5,4),
  historical_confidence numeric(5,4),
  confidence_score numeric(5,4),
  selected_agent text,
  strategy text not null,
  reason text not null,
  alternatives jsonb not null,
  cache_hit boolean not null,
  cache_age_seconds numeric(12,3),
  succeeded boolean,
  actual_quality_score numeric(5,4),
  prediction_error numeric(5,4),
  execution_time_ms bigint,
  completed_at timestamptz,
  feedback_score numeric(5,4),
  feedback_by text,
  feedback_comment text,
  feedback_at timestamptz,
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  constraint router_performance_metrics_pkey primary key (routed_at, routing_id) include (team_id, total_routing_time_us, cache_hit, cache_age_seconds),
  constraint router_performance_metrics_agent_unless_none check ((selected_agent is null) = (strategy = 'none')),
  constraint router_performance_metrics_cache_age_iff_hit check ((cache_age_seconds is not null) = cache_hit),
  constraint router_performance_metrics_confidence_range check (
    confidence_score >= 0::numeric and confidence_score <= 1::numeric
  ),
  constraint router_performance_metrics_ended_whole check ((completed_at is null) = (succeeded is null)),
  constraint router_performance_metrics_feedback_range check (
    feedback_score >= 0::numeric and feedback_score <= 1::numeric
  ),
  constraint router_performance_metrics_feedback_whole check (
    (feedback_score is null) = (feedback_by is null) and (feedback_score is null) = (feedback_at is null)
  ),
  constraint router_performance_metrics_parts_range check (
    trigger_confidence >= 0::numeric and trigger_confidence <= 1::numeric and context_confidence >= 0::numeric and context_confidence <= 1::numeric and capability_confidence >= 0::numeric and capability_confidence <= 1::numeric and historical_confidence >= 0::numeric and historical_confidence <= 1::numeric
  ),
  constraint router_performance_metrics_quality_range check (
    actual_quality_score >= 0::numeric and actual_quality_score <= 1::numeric
  ),
  constraint router_performance_metrics_strategy_known check (
    strategy in ('explicit', 'work_type', 'scored', 'fallback', 'none')
  ),
  constraint router_performance_metrics_time_not_negative check (total_routing_time_us >= 0)
) partition by range (routed_at);
comment on column router_performance_metrics.task_id is 'No foreign key: what was decided stays known when the work is deleted';
comment on column router_performance_metrics.prediction_error is 'actual_quality_score - confidence_score';

create table router_performance_metrics_default partition of router_performance_metrics default;

create table schema_migrations (
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now(),
  duration_ms integer not null,
  constraint schema_migrations_pkey primary key (name)
);
comment on table schema_migrations is 'Which migrations are applied; written by the migrator alone';

create table sweep_rounds (
  name text not null,
  after_task_id uuid not null,
  constraint sweep_rounds_pkey primary key (name)
);
comment on column sweep_rounds.after_task_id is 'The last that was tried; it need not be there any more';

create table teams (
  team_id uuid not null default gen_random_uuid(),
  name text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint teams_pkey primary key (team_id),
  constraint teams_name_key unique (name),
  constraint teams_name_form check (name ~ '^[a-z][a-z0-9-]{0,30}$')
);

create table tasks (
  task_id uuid not null,
  status task_status not null,
  request_id uuid not null,
  request_hash bytea not null,
  trace_id uuid not null,
  project_id uuid,
  created_by text not null,
  request_text text not null,
  work_type text not null,
  parameters jsonb not null,
  hints jsonb not null,
  to_agent text,
  priority smallint not null,
  not_before timestamptz,
  timeout_seconds integer not null,
  max_attempts smallint not null,
  message_bytes integer not null,
  estimated_resources jsonb,
  approval text not null,
  approved_by text,
  approved_at timestamptz,
  approval_reason text,
  run_id uuid not null,
  attempt integer not null default 0,
  attempts_used smallint not null default 0,
  ready_at timestamptz,
  dispatched_at timestamptz,
  started_at timestamptz,
  lease_until timestamptz,
  deadline timestamptz,
  progress real,
  exit_code integer,
  error_message text,
  actual_resources jsonb,
  external_ai_used jsonb,
  created_at timestamptz not null default now(),
  completed_at timestamptz,
  routing_id uuid,
  routed_at timestamptz,
  routing jsonb,
  concurrency_key text,
  handover jsonb,
  stopping text,
  ended_by integer,
  handed_back smallint not null default 0,
  rerun_of uuid,
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  created_by_id uuid,
  on_behalf_of text,
  constraint tasks_pkey primary key (task_id),
  constraint tasks_request_id_key unique (team_id, request_id),
  constraint tasks_team_id_fkey foreign key (team_id) references teams(team_id),
  constraint tasks_agent_unless_undecided check (
    to_agent is not null or (status in ('pending', 'rejected', 'cancelled'))
  ),
  constraint tasks_approval_known check (approval in ('auto', 'required')),
  constraint tasks_approval_whole check ((approved_at is null) = (approved_by is null)),
  constraint tasks_attempt_not_negative check (attempt >= 0),
  constraint tasks_attempts_used_range check (attempts_used >= 0 and attempts_used <= max_attempts),
  constraint tasks_completed_at_iff_final check (
    (completed_at is not null) = (status in ('completed', 'failed', 'rejected', 'cancelled'))
  ),
  constraint tasks_deadline_iff_executing check ((deadline is not null) = (status = 'executing')),
  constraint tasks_error_iff_failed check ((error_message is not null) = (status = 'failed')),
  constraint tasks_lease_iff_executing check ((lease_until is not null) = (status = 'executing')),
  constraint tasks_max_attempts_range check (max_attempts >= 1 and max_attempts <= 100),
  constraint tasks_never_done_unapproved check (
    approved_at is not null or (status in ('pending', 'rejected', 'cancelled'))
  ),
  constraint tasks_not_approved_while_pending check (approved_at is null or (status not in ('pending', 'rejected'))),
  constraint tasks_priority_range check (priority >= 0 and priority <= 9),
  constraint tasks_progress_range check (progress >= 0 and progress <= 1),
  constraint tasks_ready_at_iff_approved check ((ready_at is not null) = (status = 'approved')),
  constraint tasks_routing_whole check ((routing_id is null) = (routed_at is null)),
  constraint tasks_stopping_known check (stopping in ('cancelled', 'approved')),
  constraint tasks_timeout_range check (timeout_seconds >= 1 and timeout_seconds <= 86400)
);
comment on column tasks.message_bytes is 'Size of the work_request, so that a dispatcher can bound what it holds in memory';
comment on column tasks.attempt is 'Number of the latest attempt; never falls, and fences what earlier attempts still say';
comment on column tasks.attempts_used is 'Attempts that count against max_attempts; back to 0 when a person retries';
comment on column tasks.routing_id is 'Its row of router_performance_metrics; no foreign key, since that is dropped by retention';
comment on column tasks.routing is 'The decision: strategy, confidence, parts, reason, at most 5 alternatives';
comment on column tasks.concurrency_key is 'hints.concurrency_key: work of one agent and one key runs limits.per_key at once';
comment on column tasks.handover is 'What the agent before said when it passed the work on: from_agent, reason, context';
comment on column tasks.stopping is 'Beside executing: what comes once its agent has stopped; callers see cancelling';
comment on column tasks.ended_by is 'The attempt that has ended it by its agent''s word';
comment on column tasks.handed_back is 'How often in a row agents have handed it back undone';
comment on column tasks.rerun_of is 'The work that this does again, which may be deleted by now';
comment on column tasks.created_by_id is 'The user, or else the key, that created_by names: by it "its own" is told';
comment on column tasks.on_behalf_of is 'For whom a service says that it has submitted it';
create index tasks_concurrency_key_idx on tasks (team_id, to_agent, concurrency_key) where status = 'executing' and concurrency_key is not null;
create index tasks_executing_idx on tasks (team_id, to_agent, lease_until) where status = 'executing';
create index tasks_ready_idx on tasks (team_id, to_agent, priority desc, task_id) include (ready_at) where status = 'approved' and concurrency_key is null;
create index tasks_ready_key_idx on tasks (team_id, to_agent, concurrency_key, priority desc, task_id) include (ready_at) where status = 'approved' and concurrency_key is not null;
create index tasks_status_idx on tasks (team_id, status, task_id desc);
create index tasks_team_created_at_idx on tasks (team_id, created_at);
create index tasks_team_idx on tasks (team_id, task_id);
create index tasks_undecided_idx on tasks (task_id) where status = 'pending' and to_agent is null;

create table decision_keys (
  task_id uuid not null,
  idempotency_key uuid not null,
  content_hash bytea not null,
  decided_at timestamptz not null default now(),
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  constraint decision_keys_pkey primary key (task_id, idempotency_key),
  constraint decision_keys_task_id_fkey foreign key (task_id) references tasks(task_id) on delete cascade
);

create table dispatch_refusals (
  task_id uuid not null,
  attempt integer not null,
  refusals integer not null,
  reason text not null,
  retry_at timestamptz not null,
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  constraint dispatch_refusals_pkey primary key (task_id),
  constraint dispatch_refusals_task_id_fkey foreign key (task_id) references tasks(task_id) on delete cascade
);
comment on column dispatch_refusals.attempt is 'The attempt of the work before the one that was refused: what has been started since is here no more';

create table execution_logs (
  log_id uuid not null,
  task_id uuid not null,
  attempt integer not null,
  step_number integer not null,
  agent_type text not null,
  action text not null,
  status step_status not null,
  output_summary text,
  "timestamp" timestamptz not null,
  duration_ms bigint,
  recorded_at timestamptz not null default now(),
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  constraint execution_logs_pkey primary key (log_id),
  constraint execution_logs_step_key unique (task_id, attempt, step_number),
  constraint execution_logs_task_id_fkey foreign key (task_id) references tasks(task_id) on delete cascade,
  constraint execution_logs_duration_not_negative check (duration_ms >= 0),
  constraint execution_logs_step_positive check (step_number > 0 and attempt > 0),
  constraint execution_logs_summary_short check (char_length(output_summary) <= 500)
);
comment on column execution_logs.recorded_at is 'When it was first told, by our clock; "timestamp" is what its agent says';
create index execution_logs_recorded_at_idx on execution_logs using brin (recorded_at);
create index execution_logs_team_agent_type_idx on execution_logs (team_id, agent_type, "timestamp" desc);
create index execution_logs_team_recorded_at_idx on execution_logs (team_id, recorded_at);

create table execution_output (
  output_id uuid not null,
  log_id uuid not null,
  chunk_number integer not null,
  encoding text not null,
  output_full text not null,
  output_size_bytes integer not null,
  created_at timestamptz not null default now(),
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  constraint execution_output_pkey primary key (output_id),
  constraint execution_output_chunk_key unique (log_id, chunk_number),
  constraint execution_output_log_id_fkey foreign key (log_id) references execution_logs(log_id) on delete cascade,
  constraint execution_output_encoding_known check (encoding in ('utf8', 'base64')),
  constraint execution_output_size_true check (
    case encoding
      when 'utf8' then output_size_bytes = octet_length(output_full)
      else output_size_bytes <= octet_length(output_full)
    end
  )
);
comment on column execution_output.output_size_bytes is 'Bytes of the output itself, which base64 text exceeds by a third';

create table outbox (
  message_id uuid not null,
  to_agent text not null,
  body text not null,
  task_id uuid not null,
  attempt integer,
  send_after timestamptz not null,
  created_at timestamptz not null default now(),
  refusals integer not null default 0,
  refusal text,
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  constraint outbox_pkey primary key (message_id),
  constraint outbox_task_id_fkey foreign key (task_id) references tasks(task_id) on delete cascade,
  constraint outbox_refused_whole check ((refusals > 0) = (refusal is not null))
) with (autovacuum_vacuum_cost_delay=2, autovacuum_vacuum_scale_factor=0.01, autovacuum_vacuum_threshold=50);
comment on column outbox.attempt is 'A work_request counts only while the task executes this attempt; null where the message always counts';
comment on column outbox.refusals is 'How often its queue has refused it, as against not answering';
comment on column outbox.refusal is 'Why, the last time, with what to do';
create index outbox_due_idx on outbox (refusals, send_after);
create index outbox_task_id_idx on outbox (task_id);

create table task_attempts (
  task_id uuid not null,
  attempt integer not null,
  agent text not null,
  run_id uuid not null,
  start_id uuid,
  process text,
  counted boolean not null,
  requests integer not null,
  requested_at timestamptz not null,
  taken_at timestamptz,
  started_at timestamptz,
  heard_at timestamptz,
  lease_until timestamptz not null,
  asked_at timestamptz,
  asks smallint not null default 0,
  told_to_stop_at timestamptz,
  ended_at timestamptz,
  how text,
  reason text,
  exit_code integer,
  metrics jsonb,
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  lease_tokens text[],
  said_at timestamp(3) with time zone,
  constraint task_attempts_pkey primary key (task_id, attempt),
  constraint task_attempts_task_id_fkey foreign key (task_id) references tasks(task_id) on delete cascade,
  constraint task_attempts_attempt_positive check (attempt > 0),
  constraint task_attempts_ended_whole check ((ended_at is null) = (how is null)),
  constraint task_attempts_how_known check (
    how in ('completed', 'failed', 'failed_retryable', 'handed_back', 'handed_over', 'cancelled', 'lease_expired', 'withdrawn')
  ),
  constraint task_attempts_taken_before_started check (taken_at is not null or started_at is null)
);
comment on column task_attempts.run_id is 'The run of the work that it belongs to; a retry begins another';
comment on column task_attempts.start_id is 'Made by the process that has it; null while nobody has, and for agents that make none';
comment on column task_attempts.counted is 'Whether it counts against max_attempts; not where a second process does the same attempt';
comment on column task_attempts.requests is 'How often it was asked for: a request that nobody takes is sent again';
comment on column task_attempts.lease_until is 'While open: when it is asked for again (nobody has it), or is over unless its process speaks';
comment on column task_attempts.asks is 'How often its process was asked what has become of it, and has said nothing since';
comment on column task_attempts.lease_tokens is 'SHA-256, in hexadecimal, of the token of each request for it; null of one that was asked for before there were tokens';
comment on column task_attempts.said_at is 'The latest time that its process gave of a message, by that process''s clock: what is not later is no sign of life';
create index task_attempts_open_idx on task_attempts (lease_until) where how is null;

create table task_decisions (
  decision_id uuid not null,
  task_id uuid not null,
  decision text not null,
  decided_by text not null,
  reason text,
  status_before task_status not null,
  status_after task_status not null,
  decided_at timestamptz not null default now(),
  team_id uuid not null default '00000000-0000-4000-8000-000000000001'::uuid,
  decided_by_id uuid,
  on_behalf_of text,
  constraint task_decisions_pkey primary key (decision_id),
  constraint task_decisions_task_id_fkey foreign key (task_id) references tasks(task_id) on delete cascade,
  constraint task_decisions_decision_known check (decision in ('approve', 'reject', 'cancel', 'retry'))
);
comment on column task_decisions.decided_by_id is 'The user, or else the key, that decided_by names';
create index task_decisions_task_id_idx on task_decisions (task_id, decision_id);

create table users (
  user_id uuid not null default gen_random_uuid(),
  name text not null,
  subject text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  named_in uuid,
  constraint users_pkey primary key (user_id),
  constraint users_subject_key unique (subject),
  constraint users_named_in_fkey foreign key (named_in) references teams(team_id) on delete cascade,
  constraint users_name_form check (name ~ '^[^\s:]([^:]{0,198}[^\s:])?$' and lower(name) <> 'policy'),
  constraint users_named_in_unknown check (named_in is null or subject is null)
);
comment on column users.name is 'What created_by and decided_by say, such as an e-mail address';
comment on column users.subject is 'Who it is elsewhere: ISSUER|SUB of OIDC, or the ARN of an IAM role or user; null for who has keys alone';
comment on column users.named_in is 'The team that calls somebody so who is known by no subject; null for who is known to all teams by this name';
create unique index users_known_name_key on users (name) where named_in is null;
create unique index users_named_key on users (named_in, name) where named_in is not null;

create table api_keys (
  key_id uuid not null default gen_random_uuid(),
  team_id uuid not null,
  name text not null,
  prefix text not null,
  secret_hash bytea not null,
  previous_hash bytea,
  previous_until timestamptz,
  role team_role,
  scopes text[],
  user_id uuid,
  agent_name text,
  requests_per_second real,
  bytes_per_day bigint,
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  revoked_by text,
  public_key bytea,
  previous_public_key bytea,
  constraint api_keys_pkey primary key (key_id),
  constraint api_keys_prefix_key unique (prefix),
  constraint api_keys_team_id_fkey foreign key (team_id) references teams(team_id) on delete cascade,
  constraint api_keys_user_id_fkey foreign key (user_id) references users(user_id) on delete cascade,
  constraint api_keys_agent_is_nobody check (agent_name is null or user_id is null),
  constraint api_keys_agent_unless_role check ((role is null) = (agent_name is not null)),
  constraint api_keys_hashes_sha256 check (octet_length(secret_hash) = 32 and octet_length(previous_hash) = 32),
  constraint api_keys_limits_positive check (least(requests_per_second, bytes_per_day::real) > 0),
  constraint api_keys_name_form check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  constraint api_keys_prefix_form check (prefix ~ '^wb_[0-9A-Za-z]{12}$'),
  constraint api_keys_previous_whole check ((previous_hash is null) = (previous_until is null)),
  constraint api_keys_public_keys_ed25519 check (
    octet_length(public_key) = 32 and octet_length(previous_public_key) = 32
  ),
  constraint api_keys_revoked_whole check ((revoked_at is null) = (revoked_by is null))
);
comment on column api_keys.prefix is 'The public part of the key: what it begins with, and by which it is found and told';
comment on column api_keys.secret_hash is 'SHA-256 of the whole key, which is kept nowhere';
comment on column api_keys.previous_hash is 'That of the key before the last rotation, which is good until previous_until';
comment on column api_keys.role is 'The most that it may; null for an agent''s key, which may what an agent may';
comment on column api_keys.scopes is 'What of it, where it may not all; null: all';
comment on column api_keys.user_id is 'Whose it is; null for a service and an agent';
comment on column api_keys.public_key is 'Of an agent''s: the public half of the key with which it signs; null of one that was made before agents signed';
comment on column api_keys.previous_public_key is 'That of the key before the last rotation, which is good until previous_until';
create unique index api_keys_name_live_key on api_keys (team_id, name) where revoked_at is null;

create table api_key_use (
  key_id uuid not null,
  team_id uuid not null,
  requests_left real not null,
  counted_at timestamptz not null,
  day date not null,
  bytes bigint not null,
  constraint api_key_use_pkey primary key (key_id),
  constraint api_key_use_key_id_fkey foreign key (key_id) references api_keys(key_id) on delete cascade
);
comment on column api_key_use.requests_left is 'As of counted_at: a bucket that fills by requests_per_second and holds as much as one second brings';

create table team_memberships (
  team_id uuid not null,
  user_id uuid not null,
  role team_role not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint team_memberships_pkey primary key (team_id, user_id),
  constraint team_memberships_team_id_fkey foreign key (team_id) references teams(team_id) on delete cascade,
  constraint team_memberships_user_id_fkey foreign key (user_id) references users(user_id) on delete cascade
);
create index team_memberships_user_id_idx on team_memberships (user_id);

alter table agent_definitions enable row level security;
create policy agent_definitions_of_all on agent_definitions to waybill_system using (true);
create policy agent_definitions_of_team on agent_definitions to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on agent_definitions to waybill_system;
grant delete, insert, select, update on agent_definitions to waybill_team;

alter table agent_performance enable row level security;
create policy agent_performance_of_all on agent_performance to waybill_system using (true);
create policy agent_performance_of_team on agent_performance to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on agent_performance to waybill_system;
grant delete, insert, select, update on agent_performance to waybill_team;

alter table agent_presence enable row level security;
create policy agent_presence_of_all on agent_presence to waybill_system using (true);
create policy agent_presence_of_team on agent_presence to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on agent_presence to waybill_system;
grant delete, insert, select, update on agent_presence to waybill_team;

alter table agent_rate enable row level security;
create policy agent_rate_of_all on agent_rate to waybill_system using (true);
create policy agent_rate_of_team on agent_rate to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on agent_rate to waybill_system;
grant delete, insert, select, update on agent_rate to waybill_team;

alter table agent_transformation_events enable row level security;
create policy agent_transformation_events_of_all on agent_transformation_events to waybill_system using (true);
create policy agent_transformation_events_of_team on agent_transformation_events to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on agent_transformation_events to waybill_system;
grant delete, insert, select, update on agent_transformation_events to waybill_team;

alter table audit_chains enable row level security;
create policy audit_chains_of_all on audit_chains to waybill_system using (true);
create policy audit_chains_of_team on audit_chains for select to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant insert, select, update on audit_chains to waybill_system;
grant select on audit_chains to waybill_team;

alter table audit_events enable row level security;
create policy audit_events_of_all on audit_events to waybill_system using (true);
create policy audit_events_of_team on audit_events to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif"))) with check (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")) and chain_seq is null);
grant insert, select on audit_events to waybill_system;
grant insert, select on audit_events to waybill_team;
grant update (chain_seq, hash) on audit_events to waybill_system;

alter table llm_calls enable row level security;
create policy llm_calls_of_all on llm_calls to waybill_system using (true);
create policy llm_calls_of_team on llm_calls to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on llm_calls to waybill_system;
grant delete, insert, select, update on llm_calls to waybill_team;

alter table llm_spend enable row level security;
create policy llm_spend_of_all on llm_spend to waybill_system using (true);
create policy llm_spend_of_team on llm_spend to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on llm_spend to waybill_system;
grant delete, insert, select, update on llm_spend to waybill_team;

alter table llm_reservations enable row level security;
create policy llm_reservations_of_all on llm_reservations to waybill_system using (true);
create policy llm_reservations_of_team on llm_reservations to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on llm_reservations to waybill_system;
grant delete, insert, select, update on llm_reservations to waybill_team;

grant insert, select, update on llm_switch to waybill_system;
grant select on llm_switch to waybill_team;

alter table llm_texts enable row level security;
create policy llm_texts_of_all on llm_texts to waybill_system using (true);
create policy llm_texts_of_team on llm_texts to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on llm_texts to waybill_system;
grant delete, insert, select, update on llm_texts to waybill_team;

grant insert, select, update on registry_state to waybill_system;
grant insert, select, update on registry_state to waybill_team;

alter table router_performance_metrics enable row level security;
create policy router_performance_metrics_of_all on router_performance_metrics to waybill_system using (true);
create policy router_performance_metrics_of_team on router_performance_metrics to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on router_performance_metrics to waybill_system;
grant delete, insert, select, update on router_performance_metrics to waybill_team;

grant select on schema_migrations to waybill_system;
grant select on schema_migrations to waybill_team;

grant delete, insert, select, update on sweep_rounds to waybill_system;

alter table teams enable row level security;
create policy teams_of_all on teams to waybill_system using (true);
create policy teams_of_team on teams to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on teams to waybill_system;
grant select on teams to waybill_team;

alter table tasks enable row level security;
create policy tasks_of_all on tasks to waybill_system using (true);
create policy tasks_of_team on tasks to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on tasks to waybill_system;
grant delete, insert, select, update on tasks to waybill_team;

alter table decision_keys enable row level security;
create policy decision_keys_of_all on decision_keys to waybill_system using (true);
create policy decision_keys_of_team on decision_keys to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on decision_keys to waybill_system;
grant delete, insert, select, update on decision_keys to waybill_team;

alter table dispatch_refusals enable row level security;
create policy dispatch_refusals_of_all on dispatch_refusals to waybill_system using (true);
create policy dispatch_refusals_of_team on dispatch_refusals to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on dispatch_refusals to waybill_system;
grant delete, insert, select, update on dispatch_refusals to waybill_team;

alter table execution_logs enable row level security;
create policy execution_logs_of_all on execution_logs to waybill_system using (true);
create policy execution_logs_of_team on execution_logs to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on execution_logs to waybill_system;
grant delete, insert, select, update on execution_logs to waybill_team;

alter table execution_output enable row level security;
create policy execution_output_of_all on execution_output to waybill_system using (true);
create policy execution_output_of_team on execution_output to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on execution_output to waybill_system;
grant delete, insert, select, update on execution_output to waybill_team;

alter table outbox enable row level security;
create policy outbox_of_all on outbox to waybill_system using (true);
create policy outbox_of_team on outbox to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on outbox to waybill_system;
grant delete, insert, select, update on outbox to waybill_team;

alter table task_attempts enable row level security;
create policy task_attempts_of_all on task_attempts to waybill_system using (true);
create policy task_attempts_of_team on task_attempts to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on task_attempts to waybill_system;
grant delete, insert, select, update on task_attempts to waybill_team;

alter table task_decisions enable row level security;
create policy task_decisions_of_all on task_decisions to waybill_system using (true);
create policy task_decisions_of_team on task_decisions to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on task_decisions to waybill_system;
grant delete, insert, select, update on task_decisions to waybill_team;

alter table users enable row level security;
create policy users_of_all on users to waybill_system using (true);
create policy users_of_team on users for select to waybill_team using ((exists ( select from team_memberships membership where membership.user_id = users.user_id)));
grant delete, insert, select, update on users to waybill_system;
grant select on users to waybill_team;

alter table api_keys enable row level security;
create policy api_keys_of_all on api_keys to waybill_system using (true);
create policy api_keys_of_team on api_keys to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on api_keys to waybill_system;
grant insert, select, update on api_keys to waybill_team;

alter table api_key_use enable row level security;
create policy api_key_use_of_all on api_key_use to waybill_system using (true);
create policy api_key_use_of_team on api_key_use to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on api_key_use to waybill_system;
grant select on api_key_use to waybill_team;

alter table team_memberships enable row level security;
create policy team_memberships_of_all on team_memberships to waybill_system using (true);
create policy team_memberships_of_team on team_memberships to waybill_team using (team_id = (( select nullif(current_setting('waybill.team', true), '')::uuid as "nullif")));
grant delete, insert, select, update on team_memberships to waybill_system;
grant select on team_memberships to waybill_team;
