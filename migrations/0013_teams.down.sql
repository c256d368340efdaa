-- Without teams there is one: what belongs to others goes with them. The roles stay, being those of the whole server.
do $$
declare
  owned text;
begin
  foreach owned in array array[
    'agent_definitions', 'agent_performance', 'agent_presence', 'agent_rate', 'agent_transformation_events', 'decision_keys',
    'dispatch_refusals', 'execution_logs', 'execution_output', 'llm_calls', 'llm_reservations', 'llm_spend', 'llm_texts', 'outbox',
    'router_performance_metrics', 'task_attempts', 'task_decisions', 'tasks'
  ] loop
    execute format('drop policy if exists %I on %I', owned || '_of_team', owned);
    execute format('drop policy if exists %I on %I', owned || '_of_all', owned);
    execute format('alter table %I disable row level security', owned);
    if exists (
      select from pg_attribute where attrelid = owned::regclass and attname = 'team_id' and not attisdropped
    ) then
      execute format('delete from %I where team_id <> ''00000000-0000-4000-8000-000000000001''', owned);
    end if;
  end loop;
  foreach owned in array array['waybill_team', 'waybill_system'] loop
    if exists (select from pg_roles where rolname = owned) then
      execute format('revoke all on all tables in schema %I from %I', current_schema(), owned);
    end if;
  end loop;
end $$;

alter table llm_reservations drop constraint if exists llm_reservations_spend_fkey;
alter table llm_reservations drop constraint if exists llm_reservations_pkey;
alter table llm_reservations add constraint llm_reservations_pkey primary key (call_id, scope, scope_key);
alter table llm_spend drop constraint if exists llm_spend_pkey;
alter table llm_spend add constraint llm_spend_pkey primary key (scope, scope_key);
alter table llm_reservations add constraint llm_reservations_spend_fkey
  foreign key (scope, scope_key) references llm_spend (scope, scope_key) on delete cascade;
drop index if exists llm_reservations_scope_idx;
create index if not exists llm_reservations_scope_idx on llm_reservations (scope, scope_key);
alter table agent_rate drop constraint if exists agent_rate_pkey;
alter table agent_rate add constraint agent_rate_pkey primary key (agent_name);
alter table agent_presence drop constraint if exists agent_presence_pkey;
alter table agent_presence add constraint agent_presence_pkey primary key (agent_name);
alter table agent_performance drop constraint if exists agent_performance_pkey;
alter table agent_performance add constraint agent_performance_pkey primary key (agent_name, work_type);
drop index if exists agent_definitions_active_key;
create unique index if not exists agent_definitions_active_key on agent_definitions (agent_name) where active;
alter table agent_definitions drop constraint if exists agent_definitions_version_key;
alter table agent_definitions add constraint agent_definitions_version_key unique (agent_name, agent_version);
alter table tasks drop constraint if exists tasks_request_id_key;
alter table tasks add constraint tasks_request_id_key unique (request_id);

alter table router_performance_metrics drop constraint if exists router_performance_metrics_pkey;
alter table router_performance_metrics add constraint router_performance_metrics_pkey
  primary key (routed_at, routing_id) include (total_routing_time_us, cache_hit, cache_age_seconds);

drop index if exists llm_calls_started_at_idx;
create index if not exists llm_calls_started_at_idx on llm_calls (started_at);

drop index if exists tasks_team_idx;
drop index if exists tasks_status_idx;
create index if not exists tasks_status_idx on tasks (status, task_id desc);
drop index if exists tasks_ready_key_idx;
create index if not exists tasks_ready_key_idx on tasks (to_agent, concurrency_key, priority desc, task_id) include (ready_at)
  where status = 'approved' and concurrency_key is not null;
drop index if exists tasks_ready_idx;
create index if not exists tasks_ready_idx on tasks (to_agent, priority desc, task_id) include (ready_at)
  where status = 'approved' and concurrency_key is null;
drop index if exists tasks_executing_idx;
create index if not exists tasks_executing_idx on tasks (to_agent, lease_until) where status = 'executing';
drop index if exists tasks_concurrency_key_idx;
create index if not exists tasks_concurrency_key_idx on tasks (to_agent, concurrency_key)
  where status = 'executing' and concurrency_key is not null;

alter table task_decisions drop column if exists decided_by_id, drop column if exists on_behalf_of;
alter table tasks drop column if exists created_by_id, drop column if exists on_behalf_of;

do $$
declare
  owned text;
begin
  foreach owned in array array[
    'agent_definitions', 'agent_performance', 'agent_presence', 'agent_rate', 'agent_transformation_events', 'decision_keys',
    'dispatch_refusals', 'execution_logs', 'execution_output', 'llm_calls', 'llm_reservations', 'llm_spend', 'llm_texts', 'outbox',
    'router_performance_metrics', 'task_attempts', 'task_decisions', 'tasks'
  ] loop
    execute format('alter table %I drop column if exists team_id', owned);
  end loop;
end $$;

drop function if exists enter_team(uuid, uuid);
drop policy if exists users_of_team on users;
drop table if exists api_key_use;
drop table if exists api_keys;
drop table if exists team_memberships;
drop table if exists users;
drop table if exists teams;
drop type if exists team_role;
