-- Who did what. A row is never changed and never deleted, but with its whole month; a chain of hashes, which the sweep writes, makes
-- it evident where somebody has done so all the same.

-- A UUIDv7 (RFC 9562) of now; Postgres has one of its own from 18 on.
create or replace function new_audit_id() returns uuid language sql volatile as $$
  select encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid())
        placing substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6),
      52, 1), 53, 1),
    'hex')::uuid
$$;

create table if not exists audit_events (
  audit_id uuid not null default new_audit_id(),
  at timestamptz(3) not null default clock_timestamp(),
  team_id uuid,
  actor_kind text not null,
  actor_id text,
  actor text not null,
  key_id uuid,
  on_behalf_of text,
  action text not null,
  object_kind text not null,
  object_id text,
  reason text,
  details jsonb not null default '{}',
  source_ip text,
  trace_id uuid,
  chain_seq bigint,
  hash bytea,
  constraint audit_events_pkey primary key (audit_id, at),
  constraint audit_events_chain_whole check ((chain_seq is null) = (hash is null)),
  constraint audit_events_hash_sha256 check (octet_length(hash) = 32),
  constraint audit_events_seq_positive check (chain_seq > 0)
) partition by range (at);

comment on column audit_events.at is 'In whole milliseconds, so that it is the same in every program that checks the hash';
comment on column audit_events.team_id is 'No foreign key, for the row outlives the team; null for what is no team''s, such as an unknown key';
comment on column audit_events.actor_id is 'The user, or else the key, that actor names';
comment on column audit_events.details is 'Small: a status before and after, a role. Never text, parameters or secrets';
comment on column audit_events.chain_seq is 'The place in its team''s chain; null until the sweep has come by';
comment on column audit_events.hash is 'SHA-256 of the hash before it and the row as GET /audit tells it';

create table if not exists audit_events_default partition of audit_events default;

create index if not exists audit_events_team_idx on audit_events (team_id, audit_id);
create index if not exists audit_events_unchained_idx on audit_events (team_id, at, audit_id) where chain_seq is null;

-- How far each chain has come: what is no team's is under the id of zeros.
create table if not exists audit_chains (
  team_id uuid not null constraint audit_chains_pkey primary key,
  chain_seq bigint not null default 0,
  hash bytea not null default '',
  updated_at timestamptz not null default now()
);

-- The one change that there is: a row without a place in the chain gets one, together with its hash.
create or replace function keep_audit_event() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and old.chain_seq is null and new.chain_seq is not null
    and (to_jsonb(new) - array['chain_seq', 'hash']) = (to_jsonb(old) - array['chain_seq', 'hash']) then
    return new;
  end if;
  raise exception 'the record of who did what is only added to' using errcode = 'insufficient_privilege';
end
$$;

create or replace trigger audit_events_kept before update or delete on audit_events
  for each row execute function keep_audit_event();
create or replace trigger audit_events_not_emptied before truncate on audit_events
  for each statement execute function keep_audit_event();

alter table audit_events enable row level security;
drop policy if exists audit_events_of_team on audit_events;
create policy audit_events_of_team on audit_events to waybill_team
  using (team_id = (select nullif(current_setting('waybill.team', true), '')::uuid))
  with check (team_id = (select nullif(current_setting('waybill.team', true), '')::uuid) and chain_seq is null);
drop policy if exists audit_events_of_all on audit_events;
create policy audit_events_of_all on audit_events to waybill_system using (true);
grant select, insert on audit_events to waybill_team, waybill_system;
grant update (chain_seq, hash) on audit_events to waybill_system;

alter table audit_chains enable row level security;
drop policy if exists audit_chains_of_team on audit_chains;
create policy audit_chains_of_team on audit_chains for select to waybill_team
  using (team_id = (select nullif(current_setting('waybill.team', true), '')::uuid));
drop policy if exists audit_chains_of_all on audit_chains;
create policy audit_chains_of_all on audit_chains to waybill_system using (true);
grant select on audit_chains to waybill_team;
grant select, insert, update on audit_chains to waybill_system;
