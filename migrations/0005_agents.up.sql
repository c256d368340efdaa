-- The registry: one row a version of an agent, one of them active. An older version is history; what the agent has
-- shown so far is kept by its name in agent_performance and so goes over to the next version.
create table if not exists agent_definitions (
  definition_id uuid constraint agent_definitions_pkey primary key,
  agent_name text not null,
  agent_version text not null,
  yaml_config jsonb not null,
  parsed_metadata jsonb not null,
  capabilities text[] not null,
  triggers text[] not null,
  success_rate numeric(5, 4),
  quality_score numeric(5, 4),
  avg_execution_time_ms bigint,
  definition_hash text not null,
  queue_url text,
  active boolean not null,
  routable boolean not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint agent_definitions_version_key unique (agent_name, agent_version),
  constraint agent_definitions_success_rate_range check (success_rate between 0 and 1),
  constraint agent_definitions_quality_score_range check (quality_score between 0 and 1),
  constraint agent_definitions_time_not_negative check (avg_execution_time_ms >= 0),
  constraint agent_definitions_hash_sha256 check (definition_hash ~ '^[0-9a-f]{64}$')
);

comment on column agent_definitions.yaml_config is 'The definition as it was given; defaults are not filled in';
comment on column agent_definitions.parsed_metadata is 'The definition with its defaults, as the router and the dispatcher read it';
comment on column agent_definitions.success_rate is 'Of this name over all work types, decayed; null until work has ended. Written with the result';
comment on column agent_definitions.queue_url is 'Where no AGENT_QUEUES names one; null where the agent has none yet';
comment on column agent_definitions.updated_at is 'When the definition changed; the rates move without it';

-- every read of the registry; and no two versions of an agent are active
create unique index if not exists agent_definitions_active_key on agent_definitions (agent_name) where active;
-- GET /agents?capability=
create index if not exists agent_definitions_capabilities_idx on agent_definitions using gin (capabilities);

create or replace function agent_definitions_touch() returns trigger language plpgsql as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

create or replace trigger agent_definitions_touch
before update of agent_name, agent_version, yaml_config, parsed_metadata, capabilities, triggers, definition_hash,
  queue_url, active, routable on agent_definitions
for each row execute function agent_definitions_touch();

-- Which state of the registry this is: what was computed from an older revision is thrown away.
create table if not exists registry_state (
  one boolean constraint registry_state_pkey primary key default true,
  revision bigint not null default 0,
  constraint registry_state_one_row check (one)
);

insert into registry_state (one) values (true) on conflict on constraint registry_state_pkey do nothing;

create or replace function registry_state_advance() returns trigger language plpgsql as $$
begin
  insert into registry_state as state (revision) values (1)
  on conflict on constraint registry_state_pkey do update set revision = state.revision + 1;
  return null;
end;
$$;

create or replace trigger agent_definitions_advance_registry
after insert or delete or update of agent_name, agent_version, yaml_config, parsed_metadata, capabilities, triggers,
  definition_hash, queue_url, active, routable on agent_definitions
for each statement execute function registry_state_advance();

-- When an agent last said that it is there. Apart from its definition: this is written all the time.
create table if not exists agent_presence (
  agent_name text constraint agent_presence_pkey primary key,
  seen_at timestamptz not null,
  instance text
);

-- What an agent has shown, by work type: sums that halve with every half-life, as of observed_at.
create table if not exists agent_performance (
  agent_name text not null,
  work_type text not null,
  weight double precision not null default 0,
  success_sum double precision not null default 0,
  quality_weight double precision not null default 0,
  quality_sum double precision not null default 0,
  time_weight double precision not null default 0,
  time_ms_sum double precision not null default 0,
  observed_at timestamptz not null,
  constraint agent_performance_pkey primary key (agent_name, work_type)
);

-- Rate limits: when an agent's latest attempts were started, as many as its limit counts. Only dispatch writes it, and one
-- dispatcher claims at a time.
create table if not exists agent_rate (
  agent_name text constraint agent_rate_pkey primary key,
  recent timestamptz[] not null
);
