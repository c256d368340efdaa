-- Work that the database refuses to start stands before no other: it is kept here with the reason, and tried less and less often.
create table if not exists dispatch_refusals (
  task_id uuid constraint dispatch_refusals_pkey primary key
    constraint dispatch_refusals_task_id_fkey references tasks (task_id) on delete cascade,
  attempt integer not null,
  refusals integer not null,
  reason text not null,
  retry_at timestamptz not null
);

comment on column dispatch_refusals.attempt is 'The attempt of the work before the one that was refused: what has been started since is here no more';
