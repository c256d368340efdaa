alter table task_attempts drop column if exists said_at, drop column if exists lease_tokens;
alter table api_keys drop constraint if exists api_keys_public_keys_ed25519;
alter table api_keys drop column if exists previous_public_key, drop column if exists public_key;
