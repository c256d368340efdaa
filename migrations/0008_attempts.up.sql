-- One row each attempt: who had it, since when, and what became of it. What arrives late is judged by it, and nothing is forgotten
-- when the next attempt begins.
create table if not exists task_attempts (
  task_id uuid not null constraint task_attempts_task_id_fkey references tasks on delete cascade,
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
  constraint task_attempts_pkey primary key (task_id, attempt),
  constraint task_attempts_attempt_positive check (attempt > 0),
  constraint task_attempts_ended_whole check ((ended_at is null) = (how is null)),
  constraint task_attempts_how_known check (
    how in (
      'completed', 'failed', 'failed_retryable', 'handed_back', 'handed_over', 'cancelled', 'lease_expired', 'withdrawn'
    )
  ),
  constraint task_attempts_taken_before_started check (taken_at is not null or started_at is null)
);

comment on column task_attempts.run_id is 'The run of the work that it belongs to; a retry begins another';
comment on column task_attempts.start_id is 'Made by the process that has it; null while nobody has, and for agents that make none';
comment on column task_attempts.counted is 'Whether it counts against max_attempts; not where a second process does the same attempt';
comment on column task_attempts.requests is 'How often it was asked for: a request that nobody takes is sent again';
comment on column task_attempts.lease_until is 'While open: when it is asked for again (nobody has it), or is over unless its process speaks';
comment on column task_attempts.asks is 'How often its process was asked what has become of it, and has said nothing since';

create index if not exists task_attempts_open_idx on task_attempts (lease_until) where how is null;

alter table tasks
  add column if not exists stopping text constraint tasks_stopping_known check (stopping in ('cancelled', 'approved')),
  add column if not exists ended_by integer,
  add column if not exists handed_back smallint not null default 0;

comment on column tasks.stopping is 'Beside executing: what comes once its agent has stopped; callers see cancelling';
comment on column tasks.ended_by is 'The attempt that has ended it by its agent''s word';
comment on column tasks.handed_back is 'How often in a row agents have handed it back undone';

-- Of what was there before, the latest attempt alone is known.
insert into task_attempts (
  task_id, attempt, agent, run_id, counted, requests, requested_at, taken_at, started_at, heard_at, lease_until, ended_at, how, reason,
  exit_code, metrics
)
select task_id, attempt, to_agent, run_id, true, 1, coalesce(dispatched_at, created_at), started_at, started_at, started_at,
  coalesce(lease_until, completed_at, now()),
  case when status <> 'executing' then coalesce(completed_at, now()) end,
  case status
    when 'executing' then null
    when 'completed' then 'completed'
    when 'failed' then 'failed'
    when 'cancelled' then 'cancelled'
    else 'failed_retryable'
  end,
  error_message, exit_code, actual_resources
from tasks where attempt > 0 and to_agent is not null
on conflict on constraint task_attempts_pkey do nothing;

update tasks set ended_by = attempt where status = 'completed' and ended_by is null;
