-- Messages that a committed change causes. Written with the change, sent after the commit, deleted when the queue
-- has taken them; the sweep sends what a crash left behind.
create table if not exists outbox (
  message_id uuid constraint outbox_pkey primary key,
  to_agent text not null,
  body text not null,
  task_id uuid not null constraint outbox_task_id_fkey references tasks on delete cascade,
  attempt integer,
  send_after timestamptz not null,
  created_at timestamptz not null default now()
);

comment on column outbox.attempt is 'A work_request counts only while the task executes this attempt; null where the message always counts';

create index if not exists outbox_send_after_idx on outbox (send_after);
create index if not exists outbox_task_id_idx on outbox (task_id);

alter table outbox set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 50, autovacuum_vacuum_cost_delay = 2);
