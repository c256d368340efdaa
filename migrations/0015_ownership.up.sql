-- A name that a team gives somebody is its own, until that one is known by a subject: it takes the name from nobody else.
alter table users add column if not exists named_in uuid
  constraint users_named_in_fkey references teams on delete cascade
  constraint users_named_in_unknown check (named_in is null or subject is null);
comment on column users.named_in is 'The team that calls somebody so who is known by no subject; null for who is known to all teams by this name';

update users set named_in = coalesce(
  (select min(team_id::text)::uuid from team_memberships as membership where membership.user_id = users.user_id),
  '00000000-0000-4000-8000-000000000001'
)
where subject is null and (select count(*) from team_memberships as membership where membership.user_id = users.user_id) < 2;

alter table users drop constraint if exists users_name_key;
create unique index if not exists users_known_name_key on users (name) where named_in is null;
create unique index if not exists users_named_key on users (named_in, name) where named_in is not null;

-- A report of a small team reads that team's rows alone. On large tables build these by hand before, under the same names, with
-- `create index concurrently`: the migration then finds them there.
create index if not exists tasks_team_created_at_idx on tasks (team_id, created_at);
drop index if exists tasks_created_at_idx;
create index if not exists execution_logs_team_recorded_at_idx on execution_logs (team_id, recorded_at);
create index if not exists execution_logs_team_agent_type_idx on execution_logs (team_id, agent_type, "timestamp" desc);
drop index if exists execution_logs_agent_type_idx;
create index if not exists audit_events_object_idx on audit_events (team_id, object_id, audit_id);

-- The months of the time series, for a login that owns no table: the sweep's. Whoever migrates owns these functions, and they do this alone.
create or replace function series_column(series text) returns text language sql immutable as $$
  select case series
    when 'router_performance_metrics' then 'routed_at'
    when 'agent_transformation_events' then 'occurred_at'
    when 'audit_events' then 'at'
  end
$$;

-- Each month, as YYYY-MM in UTC, that has a partition, and each of which the default partition has rows (`caught`).
create or replace function series_months(series text) returns table (month text, caught boolean)
language plpgsql security definer as $$
begin
  if series_column(series) is null then raise exception 'no time series is called %', series using errcode = 'undefined_table'; end if;
  return query
    select replace(right(partition.relname, 7), '_', '-'), false
    from pg_inherits join pg_class as partition on partition.oid = inhrelid
    where inhparent = series::regclass and partition.relname <> series || '_default';
  return query execute format(
    'select distinct to_char(%I at time zone ''utc'', ''YYYY-MM''), true from %I', series_column(series), series || '_default'
  );
end
$$;

-- Makes a month's partition apart and attaches it, which locks the default partition alone; rows that this has caught move over before.
-- False where it is there.
create or replace function make_series_month(series text, month date) returns boolean
language plpgsql security definer as $$
declare
  col constant text := series_column(series);
  rest constant text := series || '_default';
  part constant text := series || to_char(month, '_YYYY_MM');
  low constant timestamptz := date_trunc('month', month::timestamp) at time zone 'utc';
  high constant timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') at time zone 'utc';
  is_caught boolean;
  loop_name text;
  loop_text text;
begin
  if col is null then raise exception 'no time series is called %', series using errcode = 'undefined_table'; end if;
  if to_regclass(format('%I', part)) is not null then return false; end if;
  execute format('lock table %I in access exclusive mode', rest);
  execute format('select exists (select from %I where %I >= $1 and %I < $2)', rest, col, col) into is_caught using low, high;
  if is_caught then
    -- A row cannot leave while others of its table refer to it: the reference is taken off and put back.
    select conname, pg_get_constraintdef(oid) into loop_name, loop_text from pg_constraint
    where conrelid = series::regclass and confrelid = series::regclass and contype = 'f' and conparentid = 0;
    if loop_name is not null then execute format('alter table %I drop constraint %I', series, loop_name); end if;
  end if;
  execute format('create table %I (like %I including all)', part, series);
  if is_caught then
    -- Moving is no deleting, which a trigger may refuse.
    execute format('alter table %I disable trigger user', rest);
    execute format(
      'with moved as (delete from %I where %I >= $1 and %I < $2 returning *) insert into %I select * from moved', rest, col, col, part
    ) using low, high;
    execute format('alter table %I enable trigger user', rest);
  end if;
  execute format('alter table %I attach partition %I for values from (%L) to (%L)', series, part, low, high);
  if loop_name is not null then execute format('alter table %I add constraint %I %s', series, loop_name, loop_text); end if;
  return true;
end
$$;

-- Ends a month: its partition goes, kept as a table of its own where it is archived. What younger rows still refer to is forgotten first.
-- False where there is none.
create or replace function end_series_month(series text, month date, archive boolean) returns boolean
language plpgsql security definer as $$
declare
  part constant text := series || to_char(month, '_YYYY_MM');
  low constant timestamptz := date_trunc('month', month::timestamp) at time zone 'utc';
  high constant timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') at time zone 'utc';
begin
  if series_column(series) is null then raise exception 'no time series is called %', series using errcode = 'undefined_table'; end if;
  if to_regclass(format('%I', part)) is null then return false; end if;
  -- Whoever may call this keeps the record: what is young is not dropped, whatever it says.
  if high > date_trunc('month', now()) then raise exception 'the month % of % is not over', month, series using errcode = 'invalid_parameter_value'; end if;
  if archive then
    execute format('create table %I (like %I including all)', part || '_archived', part);
    execute format('insert into %I select * from %I', part || '_archived', part);
  end if;
  if series = 'agent_transformation_events' then
    update agent_transformation_events set parent_event_id = null, parent_occurred_at = null
    where parent_event_id is not null and parent_occurred_at >= low and parent_occurred_at < high;
  end if;
  execute format('alter table %I detach partition %I', series, part);
  execute format('drop table %I', part);
  return true;
end
$$;

do $$
declare
  safe text;
begin
  foreach safe in array array[
    'series_months(text)', 'make_series_month(text, date)', 'end_series_month(text, date, boolean)'
  ] loop
    -- Where the tables are, whatever its caller says; pg_catalog is before it of itself.
    execute format('alter function %s set search_path = %I, pg_temp', safe, current_schema());
    execute format('revoke execute on function %s from public', safe);
    execute format('grant execute on function %s to waybill_system', safe);
  end loop;
end $$;
