-- A life of `:batch` pieces of work in four commits: submit, dispatch, outbox, result. The same rows as the product writes.
insert into tasks (
  task_id, status, request_id, request_hash, trace_id, run_id, created_by, request_text, work_type, parameters, hints,
  to_agent, priority, timeout_seconds, max_attempts, message_bytes, approval, approved_by, approved_at, approval_reason,
  ready_at
) select
  id, 'approved', id, sha256('x'), id, id, 'bench', 'say hello', 'code.run',
  jsonb_build_object('command', 'echo', 'args', jsonb_build_array(repeat('x', 400))), '{}', 'code', 5, 3600, 3, 2500,
  'auto', 'policy', now(), 'no policy asks for a person to approve code.run', now()
from (select uuidv7() as id from generate_series(1, :batch)) as new;

begin;
select pg_advisory_xact_lock(1);
with next as materialized (
  select task_id from tasks where status = 'approved' and to_agent = 'code' and ready_at <= now()
  order by priority desc, task_id limit :batch for no key update skip locked
), claimed as (
  update tasks set status = 'executing', attempt = attempt + 1, attempts_used = attempts_used + 1, ready_at = null,
    dispatched_at = now(), lease_until = now() + interval '900 s', deadline = now() + interval '4560 s'
  from next where tasks.task_id = next.task_id
  returning tasks.task_id, attempt
)
insert into outbox (message_id, to_agent, body, task_id, attempt, send_after)
select task_id, 'code', repeat('x', 900), task_id, attempt, now() from claimed;
commit;

with sent as materialized (select message_id from outbox limit :batch for update skip locked)
delete from outbox using sent where outbox.message_id = sent.message_id;

with held as materialized (
  select task_id, attempt from tasks where status = 'executing' and to_agent = 'code'
  order by lease_until limit :batch for no key update skip locked
), step as (
  insert into execution_logs (
    log_id, task_id, attempt, step_number, agent_type, action, status, output_summary, timestamp, duration_ms
  ) select uuidv7(), task_id, attempt, 1, 'code', 'echo', 'completed', 'hello', now(), 5 from held
  returning log_id
), piece as (
  insert into execution_output (output_id, log_id, chunk_number, encoding, output_full, output_size_bytes)
  select uuidv7(), log_id, 0, 'utf8', repeat('x', 400), 400 from step
)
update tasks set status = 'completed', exit_code = 0, completed_at = now(), started_at = now(), progress = 1,
  lease_until = null, deadline = null
from held where tasks.task_id = held.task_id;
