-- What a queue refuses stays in the outbox with the reason, is tried less and less often, and stands before nothing else.
alter table outbox
  add column if not exists refusals integer not null default 0,
  add column if not exists refusal text;

alter table outbox drop constraint if exists outbox_refused_whole;
alter table outbox add constraint outbox_refused_whole check ((refusals > 0) = (refusal is not null));

comment on column outbox.refusals is 'How often its queue has refused it, as against not answering';
comment on column outbox.refusal is 'Why, the last time, with what to do';

-- sweep: what has never been refused comes first
create index if not exists outbox_due_idx on outbox (refusals, send_after);
drop index if exists outbox_send_after_idx;

-- Where the next round of the sweep goes on, whichever instance runs it: each row comes once before any comes twice.
create table if not exists sweep_rounds (
  name text constraint sweep_rounds_pkey primary key,
  after_task_id uuid not null
);

comment on column sweep_rounds.after_task_id is 'The last that was tried; it need not be there any more';
