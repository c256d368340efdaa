-- When a step was first told, by our clock: agents' clocks decide nothing that is reported. Of older steps their own time is known.
alter table execution_logs add column if not exists recorded_at timestamptz not null default now();
update execution_logs set recorded_at = least(timestamp, now());
comment on column execution_logs.recorded_at is 'When it was first told, by our clock; "timestamp" is what its agent says';
-- Rows come in the order of this time, so a summary of each stretch of the table finds the days of a report, and costs a write nothing.
create index if not exists execution_logs_recorded_at_idx on execution_logs using brin (recorded_at);

-- No foreign key: the work that was done again may be deleted.
alter table tasks add column if not exists rerun_of uuid;
comment on column tasks.rerun_of is 'The work that this does again, which may be deleted by now';

-- What was decided under an idempotency key, so that the same again is answered and other content refused.
create table if not exists decision_keys (
  task_id uuid not null constraint decision_keys_task_id_fkey references tasks on delete cascade,
  idempotency_key uuid not null,
  content_hash bytea not null,
  decided_at timestamptz not null default now(),
  constraint decision_keys_pkey primary key (task_id, idempotency_key)
);
