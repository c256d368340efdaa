-- One row an attempt: who was asked, who answered, what it cost. No text of prompt or answer; that is in llm_texts where it is kept.
create table if not exists llm_calls (
  attempt_id uuid constraint llm_calls_pkey primary key,
  call_id uuid not null,
  attempt_number smallint not null,
  -- No foreign key: what was spent stays known when the task is deleted, and a caller may name a task that is not ours.
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
  cost_usd numeric(18, 10),
  cost_unknown text,
  first_token_ms integer,
  latency_ms integer not null,
  outcome text not null,
  error_class text,
  error_status smallint,
  started_at timestamptz not null,
  constraint llm_calls_attempt_key unique (call_id, attempt_number),
  constraint llm_calls_usage_source_known check (usage_source in ('provider', 'estimated', 'none')),
  constraint llm_calls_outcome_known check (outcome in ('answered', 'failed', 'cut', 'aborted')),
  constraint llm_calls_error_iff_failed check ((error_class is not null) or outcome in ('answered', 'aborted')),
  constraint llm_calls_cost_or_reason check ((cost_usd is null) = (cost_unknown is not null)),
  constraint llm_calls_cost_not_negative check (cost_usd >= 0),
  constraint llm_calls_tokens_not_negative check (
    least(input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens) >= 0
  )
);

comment on column llm_calls.cost_usd is 'Null where it is unknown, with the reason in cost_unknown; never 0 for unknown';

create index if not exists llm_calls_started_at_idx on llm_calls (started_at);
create index if not exists llm_calls_task_id_idx on llm_calls (task_id) where task_id is not null;

-- Prompts and answers of the projects that switched this on.
create table if not exists llm_texts (
  attempt_id uuid constraint llm_texts_pkey primary key constraint llm_texts_attempt_id_fkey references llm_calls on delete cascade,
  prompt text not null,
  answer text
);

-- What has been spent, by budget: one row a task, an agent and day, a day.
create table if not exists llm_spend (
  scope text not null,
  scope_key text not null,
  spent_usd numeric(18, 10) not null default 0,
  constraint llm_spend_pkey primary key (scope, scope_key),
  constraint llm_spend_scope_known check (scope in ('task', 'agent', 'day'))
);

-- What running calls may still spend. A reservation that its call never settled runs out.
create table if not exists llm_reservations (
  call_id uuid not null,
  scope text not null,
  scope_key text not null,
  usd numeric(18, 10) not null,
  expires_at timestamptz not null,
  constraint llm_reservations_pkey primary key (call_id, scope, scope_key),
  constraint llm_reservations_spend_fkey foreign key (scope, scope_key) references llm_spend on delete cascade
);

create index if not exists llm_reservations_scope_idx on llm_reservations (scope, scope_key);

-- The kill switch: while off, no call leaves for an external vendor.
create table if not exists llm_switch (
  one boolean constraint llm_switch_pkey primary key default true,
  external boolean not null,
  reason text,
  changed_at timestamptz not null default now(),
  constraint llm_switch_one_row check (one)
);
