-- What agents say is signed, and tells the token of the attempt that it is about.

alter table api_keys
  add column if not exists public_key bytea,
  add column if not exists previous_public_key bytea;
alter table api_keys drop constraint if exists api_keys_public_keys_ed25519;
alter table api_keys
  add constraint api_keys_public_keys_ed25519 check (octet_length(public_key) = 32 and octet_length(previous_public_key) = 32);
comment on column api_keys.public_key is 'Of an agent''s: the public half of the key with which it signs; null of one that was made before agents signed';
comment on column api_keys.previous_public_key is 'That of the key before the last rotation, which is good until previous_until';

alter table task_attempts
  add column if not exists lease_tokens text[],
  add column if not exists said_at timestamptz(3);
comment on column task_attempts.lease_tokens is 'SHA-256, in hexadecimal, of the token of each request for it; null of one that was asked for before there were tokens';
comment on column task_attempts.said_at is 'The latest time that its process gave of a message, by that process''s clock: what is not later is no sign of life';
