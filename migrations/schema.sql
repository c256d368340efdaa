-- The schema that the migrations make, read back from Postgres. For reading and reviewing: npm run generate writes it,
-- npm run generated compares it, npm run migrate is what makes it.

create type step_status as enum ('running', 'completed', 'failed');

create type task_status as enum ('pending', 'approved', 'executing', 'completed', 'failed', 'rejected', 'cancelled');

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
create index llm_calls_started_at_idx on llm_calls (started_at);
create index llm_calls_task_id_idx on llm_calls (task_id) where task_id is not null;

create table llm_spend (
  scope text not null,
  scope_key text not null,
  spent_usd numeric(18,10) not null default 0,
  constraint llm_spend_pkey primary key (scope, scope_key),
  constraint llm_spend_scope_known check (scope in ('task', 'agent', 'day'))
);

create table llm_reservations (
  call_id uuid not null,
  scope text not null,
  scope_key text not null,
  usd numeric(18,10) not null,
  expires_at timestamptz not null,
  constraint llm_reservations_pkey primary key (call_id, scope, scope_key),
  constraint llm_reservations_spend_fkey foreign key (scope, scope_key) references llm_spend(scope, scope_key) on delete cascade
);
create index llm_reservations_scope_idx on llm_reservations (scope, scope_key);

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
  constraint llm_texts_pkey primary key (attempt_id),
  constraint llm_texts_attempt_id_fkey foreign key (attempt_id) references llm_calls(attempt_id) on delete cascade
);

create table schema_migrations (
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now(),
  duration_ms integer not null,
  constraint schema_migrations_pkey primary key (name)
);
comment on table schema_migrations is 'Which migrations are applied; written by lib/migrator.ts alone';

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
  to_agent text not null,
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
  constraint tasks_pkey primary key (task_id),
  constraint tasks_request_id_key unique (request_id),
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
  constraint tasks_timeout_range check (timeout_seconds >= 1 and timeout_seconds <= 86400)
);
comment on column tasks.message_bytes is 'Size of the work_request, so that a dispatcher can bound what it holds in memory';
comment on column tasks.attempt is 'Number of the latest attempt; never falls, and fences what earlier attempts still say';
comment on column tasks.attempts_used is 'Attempts that count against max_attempts; back to 0 when a person retries';
create index tasks_created_at_idx on tasks (created_at);
create index tasks_executing_idx on tasks (to_agent, lease_until) where status = 'executing';
create index tasks_ready_idx on tasks (to_agent, priority desc, task_id) include (ready_at) where status = 'approved';
create index tasks_status_idx on tasks (status, task_id desc);

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
  constraint execution_logs_pkey primary key (log_id),
  constraint execution_logs_step_key unique (task_id, attempt, step_number),
  constraint execution_logs_task_id_fkey foreign key (task_id) references tasks(task_id) on delete cascade,
  constraint execution_logs_duration_not_negative check (duration_ms >= 0),
  constraint execution_logs_step_positive check (step_number > 0 and attempt > 0),
  constraint execution_logs_summary_short check (char_length(output_summary) <= 500)
);
create index execution_logs_agent_type_idx on execution_logs (agent_type, "timestamp" desc);

create table execution_output (
  output_id uuid not null,
  log_id uuid not null,
  chunk_number integer not null,
  encoding text not null,
  output_full text not null,
  output_size_bytes integer not null,
  created_at timestamptz not null default now(),
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
  constraint outbox_pkey primary key (message_id),
  constraint outbox_task_id_fkey foreign key (task_id) references tasks(task_id) on delete cascade
) with (autovacuum_vacuum_cost_delay=2, autovacuum_vacuum_scale_factor=0.01, autovacuum_vacuum_threshold=50);
comment on column outbox.attempt is 'A work_request counts only while the task executes this attempt; null where the message always counts';
create index outbox_send_after_idx on outbox (send_after);
create index outbox_task_id_idx on outbox (task_id);

create table task_decisions (
  decision_id uuid not null,
  task_id uuid not null,
  decision text not null,
  decided_by text not null,
  reason text,
  status_before task_status not null,
  status_after task_status not null,
  decided_at timestamptz not null default now(),
  constraint task_decisions_pkey primary key (decision_id),
  constraint task_decisions_task_id_fkey foreign key (task_id) references tasks(task_id) on delete cascade,
  constraint task_decisions_decision_known check (decision in ('approve', 'reject', 'cancel', 'retry'))
);
create index task_decisions_task_id_idx on task_decisions (task_id, decision_id);
