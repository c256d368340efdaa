drop table if exists sweep_rounds;

create index if not exists outbox_send_after_idx on outbox (send_after);
drop index if exists outbox_due_idx;

alter table outbox drop constraint if exists outbox_refused_whole;
alter table outbox drop column if exists refusals, drop column if exists refusal;
