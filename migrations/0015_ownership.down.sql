-- Names are unique again: of two people of one name, who is known to one team alone gets a sign behind it.
update users set name = left(name, 190) || '~' || left(user_id::text, 8)
where named_in is not null
  and exists (select from users as other where other.name = users.name and other.user_id <> users.user_id);
drop index if exists users_named_key;
drop index if exists users_known_name_key;
alter table users drop column if exists named_in;
alter table users drop constraint if exists users_name_key;
alter table users add constraint users_name_key unique (name);

drop function if exists end_series_month(text, date, boolean);
drop function if exists make_series_month(text, date);
drop function if exists series_months(text);
drop function if exists series_column(text);
drop index if exists audit_events_object_idx;
create index if not exists execution_logs_agent_type_idx on execution_logs (agent_type, "timestamp" desc);
drop index if exists execution_logs_team_agent_type_idx;
drop index if exists execution_logs_team_recorded_at_idx;
create index if not exists tasks_created_at_idx on tasks (created_at);
drop index if exists tasks_team_created_at_idx;
