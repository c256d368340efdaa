-- Whose everything is. A team has people, by membership, and keys; what work, agents, calls and costs there are belongs to one team,
-- what was there before to the team `default`.
do $$ begin
  create type team_role as enum ('viewer', 'member', 'admin', 'owner');
exception when duplicate_object then null;
end $$;

create table if not exists teams (
  team_id uuid not null default gen_random_uuid() constraint teams_pkey primary key,
  name text not null constraint teams_name_key unique,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- A part of the names of its agents' queues.
  constraint teams_name_form check (name ~ '^[a-z][a-z0-9-]{0,30}$')
);

insert into teams (team_id, name) values ('00000000-0000-4000-8000-000000000001', 'default')
on conflict on constraint teams_pkey do nothing;

create table if not exists users (
  user_id uuid not null default gen_random_uuid() constraint users_pkey primary key,
  name text not null constraint users_name_key unique,
  subject text constraint users_subject_key unique,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- What others than people are called in created_by and decided_by has a colon: key:ci, agent:code, an ARN.
  constraint users_name_form check (name ~ '^[^\s:]([^:]{0,198}[^\s:])?$' and lower(name) <> 'policy')
);

comment on column users.name is 'What created_by and decided_by say, such as an e-mail address';
comment on column users.subject is 'Who it is elsewhere: ISSUER|SUB of OIDC, or the ARN of an IAM role or user; null for who has keys alone';

create table if not exists team_memberships (
  team_id uuid not null constraint team_memberships_team_id_fkey references teams on delete cascade,
  user_id uuid not null constraint team_memberships_user_id_fkey references users on delete cascade,
  role team_role not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint team_memberships_pkey primary key (team_id, user_id)
);

create index if not exists team_memberships_user_id_idx on team_memberships (user_id);

create table if not exists api_keys (
  key_id uuid not null default gen_random_uuid() constraint api_keys_pkey primary key,
  team_id uuid not null constraint api_keys_team_id_fkey references teams on delete cascade,
  name text not null,
  prefix text not null constraint api_keys_prefix_key unique,
  secret_hash bytea not null,
  previous_hash bytea,
  previous_until timestamptz,
  role team_role,
  scopes text[],
  user_id uuid constraint api_keys_user_id_fkey references users on delete cascade,
  agent_name text,
  requests_per_second real,
  bytes_per_day bigint,
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  revoked_by text,
  constraint api_keys_agent_unless_role check ((role is null) = (agent_name is not null)),
  constraint api_keys_agent_is_nobody check (agent_name is null or user_id is null),
  constraint api_keys_hashes_sha256 check (octet_length(secret_hash) = 32 and octet_length(previous_hash) = 32),
  constraint api_keys_limits_positive check (least(requests_per_second, bytes_per_day) > 0),
  constraint api_keys_name_form check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  constraint api_keys_prefix_form check (prefix ~ '^wb_[0-9A-Za-z]{12}$'),
  constraint api_keys_previous_whole check ((previous_hash is null) = (previous_until is null)),
  constraint api_keys_revoked_whole check ((revoked_at is null) = (revoked_by is null))
);

comment on column api_keys.prefix is 'The public part of the key: what it begins with, and by which it is found and told';
comment on column api_keys.secret_hash is 'SHA-256 of the whole key, which is kept nowhere';
comment on column api_keys.previous_hash is 'That of the key before the last rotation, which is good until previous_until';
comment on column api_keys.role is 'The most that it may; null for an agent''s key, which may what an agent may';
comment on column api_keys.scopes is 'What of it, where it may not all; null: all';
comment on column api_keys.user_id is 'Whose it is; null for a service and an agent';

create unique index if not exists api_keys_name_live_key on api_keys (team_id, name) where revoked_at is null;

-- The rest of a key's allowance, for keys that have limits.
create table if not exists api_key_use (
  key_id uuid not null constraint api_key_use_pkey primary key constraint api_key_use_key_id_fkey references api_keys on delete cascade,
  team_id uuid not null,
  requests_left real not null,
  counted_at timestamptz not null,
  day date not null,
  bytes bigint not null
);

comment on column api_key_use.requests_left is 'As of counted_at: a bucket that fills by requests_per_second and holds as much as one second brings';

-- Whose what is there is. The default is for functions from before, until they are replaced.
do $$
declare
  owned text;
begin
  foreach owned in array array[
    'agent_definitions', 'agent_performance', 'agent_presence', 'agent_rate', 'agent_transformation_events', 'decision_keys',
    'dispatch_refusals', 'execution_logs', 'execution_output', 'llm_calls', 'llm_reservations', 'llm_spend', 'llm_texts', 'outbox',
    'router_performance_metrics', 'task_attempts', 'task_decisions', 'tasks'
  ] loop
    execute format(
      'alter table %I add column if not exists team_id uuid not null default ''00000000-0000-4000-8000-000000000001''', owned
    );
  end loop;
end $$;

alter table tasks drop constraint if exists tasks_team_id_fkey;
alter table tasks
  add constraint tasks_team_id_fkey foreign key (team_id) references teams,
  add column if not exists created_by_id uuid,
  add column if not exists on_behalf_of text;
comment on column tasks.created_by_id is 'The user, or else the key, that created_by names: by it "its own" is told';
comment on column tasks.on_behalf_of is 'For whom a service says that it has submitted it';

alter table task_decisions
  add column if not exists decided_by_id uuid,
  add column if not exists on_behalf_of text;
comment on column task_decisions.decided_by_id is 'The user, or else the key, that decided_by names';

-- Names and keys are unique within a team.
alter table tasks drop constraint if exists tasks_request_id_key;
alter table tasks add constraint tasks_request_id_key unique (team_id, request_id);
alter table agent_definitions drop constraint if exists agent_definitions_version_key;
alter table agent_definitions add constraint agent_definitions_version_key unique (team_id, agent_name, agent_version);
drop index if exists agent_definitions_active_key;
create unique index if not exists agent_definitions_active_key on agent_definitions (team_id, agent_name) where active;
alter table agent_performance drop constraint if exists agent_performance_pkey;
alter table agent_performance add constraint agent_performance_pkey primary key (team_id, agent_name, work_type);
alter table agent_presence drop constraint if exists agent_presence_pkey;
alter table agent_presence add constraint agent_presence_pkey primary key (team_id, agent_name);
alter table agent_rate drop constraint if exists agent_rate_pkey;
alter table agent_rate add constraint agent_rate_pkey primary key (team_id, agent_name);
alter table llm_reservations drop constraint if exists llm_reservations_spend_fkey;
alter table llm_spend drop constraint if exists llm_spend_pkey;
alter table llm_spend add constraint llm_spend_pkey primary key (team_id, scope, scope_key);
alter table llm_reservations drop constraint if exists llm_reservations_pkey;
alter table llm_reservations add constraint llm_reservations_pkey primary key (team_id, call_id, scope, scope_key);
alter table llm_reservations add constraint llm_reservations_spend_fkey
  foreign key (team_id, scope, scope_key) references llm_spend (team_id, scope, scope_key) on delete cascade;
drop index if exists llm_reservations_scope_idx;
create index if not exists llm_reservations_scope_idx on llm_reservations (team_id, scope, scope_key);

-- Reports of a team read nothing but this index.
alter table router_performance_metrics drop constraint if exists router_performance_metrics_pkey;
alter table router_performance_metrics add constraint router_performance_metrics_pkey
  primary key (routed_at, routing_id) include (team_id, total_routing_time_us, cache_hit, cache_age_seconds);

drop index if exists llm_calls_started_at_idx;
create index if not exists llm_calls_started_at_idx on llm_calls (team_id, started_at);

-- The dispatcher looks by agent, which is one of a team; callers see a team, or a status within it.
drop index if exists tasks_concurrency_key_idx;
create index if not exists tasks_concurrency_key_idx on tasks (team_id, to_agent, concurrency_key)
  where status = 'executing' and concurrency_key is not null;
drop index if exists tasks_executing_idx;
create index if not exists tasks_executing_idx on tasks (team_id, to_agent, lease_until) where status = 'executing';
drop index if exists tasks_ready_idx;
create index if not exists tasks_ready_idx on tasks (team_id, to_agent, priority desc, task_id) include (ready_at)
  where status = 'approved' and concurrency_key is null;
drop index if exists tasks_ready_key_idx;
create index if not exists tasks_ready_key_idx on tasks (team_id, to_agent, concurrency_key, priority desc, task_id) include (ready_at)
  where status = 'approved' and concurrency_key is not null;
drop index if exists tasks_status_idx;
create index if not exists tasks_status_idx on tasks (team_id, status, task_id desc);
create index if not exists tasks_team_idx on tasks (team_id, task_id);

-- What a caller asks for is done as waybill_team, which sees the rows of the team that the transaction names and no others; what the
-- system does for all teams, as waybill_system or as the owner of the tables. Roles are those of the whole server: they may be there.
do $$
declare
  wanted text;
begin
  foreach wanted in array array['waybill_team', 'waybill_system'] loop
    if not exists (select from pg_roles where rolname = wanted) then
      begin
        execute format('create role %I nologin', wanted);
      exception
        when duplicate_object or unique_violation then null;
        when insufficient_privilege then
          raise exception 'The role % is not there, and % may not make it.', wanted, current_user
            using hint = format('Run as who may: create role %I nologin; grant %I to %I;', wanted, wanted, current_user);
      end;
    end if;
    -- Also to who has just made it: from Postgres 16 on that one may give it away, and not take it.
    begin
      execute format('grant %I to %I', wanted, current_user);
    exception when insufficient_privilege then
      if not pg_has_role(current_user, wanted, 'usage') then
        raise exception 'The role % is there, and % is no member of it.', wanted, current_user
          using hint = format('Run as who has made it: grant %I to %I;', wanted, current_user);
      end if;
    end;
  end loop;
end $$;

do $$
declare
  owned text;
begin
  foreach owned in array array[
    'agent_definitions', 'agent_performance', 'agent_presence', 'agent_rate', 'agent_transformation_events', 'api_key_use', 'api_keys',
    'decision_keys', 'dispatch_refusals', 'execution_logs', 'execution_output', 'llm_calls', 'llm_reservations', 'llm_spend', 'llm_texts',
    'outbox', 'router_performance_metrics', 'task_attempts', 'task_decisions', 'tasks', 'team_memberships', 'teams'
  ] loop
    execute format('alter table %I enable row level security', owned);
    execute format('drop policy if exists %I on %I', owned || '_of_team', owned);
    -- In a subselect the setting is read once a statement, not once a row.
    execute format(
      'create policy %I on %I to waybill_team using (team_id = (select nullif(current_setting(''waybill.team'', true), '''')::uuid))',
      owned || '_of_team', owned
    );
    execute format('drop policy if exists %I on %I', owned || '_of_all', owned);
    execute format('create policy %I on %I to waybill_system using (true)', owned || '_of_all', owned);
    execute format('grant select, insert, update, delete on %I to waybill_team, waybill_system', owned);
  end loop;
end $$;

-- People may be in several teams: each sees those who are in its own.
alter table users enable row level security;
drop policy if exists users_of_team on users;
create policy users_of_team on users for select to waybill_team using (
  exists (select from team_memberships as membership where membership.user_id = users.user_id)
);
drop policy if exists users_of_all on users;
create policy users_of_all on users to waybill_system using (true);
grant select on users to waybill_team;
grant select, insert, update, delete on users to waybill_system;
revoke insert, update, delete on teams, team_memberships, api_key_use from waybill_team;
revoke delete on api_keys from waybill_team;

-- What is no team's.
grant select, insert, update on registry_state to waybill_team, waybill_system;
grant select on llm_switch to waybill_team;
grant select, insert, update on llm_switch to waybill_system;
grant select, insert, update, delete on sweep_rounds to waybill_system;
grant select on schema_migrations to waybill_team, waybill_system;

-- What a transaction of a caller begins with. The key is looked up as who logs in; what comes after it is seen by the team alone.
create or replace function enter_team(team uuid, with_key uuid) returns void language plpgsql as $$
begin
  if with_key is not null and not exists (
    select from api_keys where key_id = with_key and revoked_at is null and (expires_at is null or expires_at > now())
  ) then
    raise exception 'the key is not valid' using errcode = 'WB401';
  end if;
  perform set_config('waybill.team', team::text, true), set_config('role', 'waybill_team', true);
end
$$;
