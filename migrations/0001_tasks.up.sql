do $$ begin
  create type task_status as enum ('pending', 'approved', 'executing', 'completed', 'failed', 'rejected', 'cancelled');
exception when duplicate_object then null;
end $$;

-- One piece of work. The row is the truth; a queue message about it is a hint.
create table if not exists tasks (
  task_id uuid constraint tasks_pkey primary key,
  status task_status not null,

  -- what was asked
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

  -- who let it happen, when and why; later decisions are in task_decisions
  approval text not null,
  approved_by text,
  approved_at timestamptz,
  approval_reason text,

  -- how it runs: run_id is the request_id that agents see, kept over the attempts of a run
  run_id uuid not null,
  attempt integer not null default 0,
  attempts_used smallint not null default 0,
  ready_at timestamptz,
  dispatched_at timestamptz,
  started_at timestamptz,
  lease_until timestamptz,
  deadline timestamptz,
  progress real,

  -- how it ended
  exit_code integer,
  error_message text,
  actual_resources jsonb,
  external_ai_used jsonb,

  created_at timestamptz not null default now(),
  completed_at timestamptz,

  constraint tasks_request_id_key unique (request_id),
  constraint tasks_priority_range check (priority between 0 and 9),
  constraint tasks_timeout_range check (timeout_seconds between 1 and 86400),
  constraint tasks_max_attempts_range check (max_attempts between 1 and 100),
  constraint tasks_attempts_used_range check (attempts_used between 0 and max_attempts),
  constraint tasks_attempt_not_negative check (attempt >= 0),
  constraint tasks_progress_range check (progress between 0 and 1),
  constraint tasks_approval_known check (approval in ('auto', 'required')),
  constraint tasks_approval_whole check ((approved_at is null) = (approved_by is null)),
  constraint tasks_never_done_unapproved check (
    approved_at is not null or status in ('pending', 'rejected', 'cancelled')
  ),
  constraint tasks_not_approved_while_pending check (approved_at is null or status not in ('pending', 'rejected')),
  constraint tasks_lease_iff_executing check ((lease_until is not null) = (status = 'executing')),
  constraint tasks_deadline_iff_executing check ((deadline is not null) = (status = 'executing')),
  constraint tasks_ready_at_iff_approved check ((ready_at is not null) = (status = 'approved')),
  constraint tasks_completed_at_iff_final check (
    (completed_at is not null) = (status in ('completed', 'failed', 'rejected', 'cancelled'))
  ),
  constraint tasks_error_iff_failed check ((error_message is not null) = (status = 'failed'))
);

comment on column tasks.attempt is 'Number of the latest attempt; never falls, and fences what earlier attempts still say';
comment on column tasks.attempts_used is 'Attempts that count against max_attempts; back to 0 when a person retries';
comment on column tasks.message_bytes is 'Size of the work_request, so that a dispatcher can bound what it holds in memory';

-- reports over the last N days
create index if not exists tasks_created_at_idx on tasks (created_at);
-- GET /work?status=, newest first: task_id is time-ordered
create index if not exists tasks_status_idx on tasks (status, task_id desc);
-- dispatch: priority first, then age
create index if not exists tasks_ready_idx on tasks (to_agent, priority desc, task_id) include (ready_at) where status = 'approved';
-- sweep: leases that ran out; dispatch: how many are with one agent
create index if not exists tasks_executing_idx on tasks (to_agent, lease_until) where status = 'executing';

-- What people decided about a task; nothing here is ever changed.
create table if not exists task_decisions (
  decision_id uuid constraint task_decisions_pkey primary key,
  task_id uuid not null constraint task_decisions_task_id_fkey references tasks on delete cascade,
  decision text not null,
  decided_by text not null,
  reason text,
  status_before task_status not null,
  status_after task_status not null,
  decided_at timestamptz not null default now(),
  constraint task_decisions_decision_known check (decision in ('approve', 'reject', 'cancel', 'retry'))
);

create index if not exists task_decisions_task_id_idx on task_decisions (task_id, decision_id);
