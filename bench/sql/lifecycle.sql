-- A life of `:batch` pieces of work in four commits: submit, dispatch, outbox, result. The same rows as the product writes.
with decided as (
  insert into tasks (
    task_id, status, request_id, request_hash, trace_id, run_id, created_by, request_text, work_type, parameters, hints,
    to_agent, priority, timeout_seconds, max_attempts, message_bytes, approval, approved_by, approved_at, approval_reason,
    ready_at, routing_id, routed_at, routing
  ) select
    id, 'approved', id, sha256('x'), id, id, 'bench', 'say hello', 'code.run',
    jsonb_build_object('command', 'echo', 'args', jsonb_build_array(repeat('x', 400))), '{}', 'code', 5, 3600, 3, 2500,
    'auto', 'policy', now(), 'no policy asks for a person to approve code.run', now(), id, now(),
    '{"strategy": "work_type", "confidence": 0.75, "parts": {"trigger": 0.5, "context": 0.5, "capability": 1, "historical": 0.5}, "reason": "code alone names the work type code.run.", "alternatives": []}'
  from (select uuidv7() as id from generate_series(1, :batch)) as new
  returning task_id, routing_id, routed_at, work_type
)
insert into router_performance_metrics (
  routing_id, routed_at, task_id, work_type, request_hash, total_routing_time_us, trigger_confidence, context_confidence,
  capability_confidence, historical_confidence, confidence_score, selected_agent, strategy, reason, alternatives,
  cache_hit, cache_age_seconds
)
select routing_id, routed_at, task_id, work_type, sha256('y'), 100, 0.5, 0.5, 1, 0.5, 0.75, 'code', 'work_type',
  'code alone names the work type code.run.', '[]', true, 1
from decided;

begin;
select pg_advisory_xact_lock(1);
with next as materialized (
  select task_id from tasks where status = 'approved' and to_agent = 'code' and ready_at <= now()
  order by priority desc, task_id limit :batch for no key update skip locked
), claimed as (
  update tasks set status = 'executing', attempt = attempt + 1, attempts_used = attempts_used + 1, ready_at = null,
    dispatched_at = now(), lease_until = now() + interval '900 s', deadline = now() + interval '4560 s'
  from next where tasks.task_id = next.task_id
  returning tasks.task_id, attempt, run_id, lease_until
), kept as (
  insert into task_attempts (task_id, attempt, agent, run_id, counted, requests, requested_at, lease_until)
  select task_id, attempt, 'code', run_id, true, 1, now(), lease_until from claimed
)
insert into outbox (message_id, to_agent, body, task_id, attempt, send_after)
select task_id, 'code', repeat('x', 900), task_id, attempt, now() from claimed;
commit;

with sent as materialized (select message_id from outbox limit :batch for update skip locked)
delete from outbox using sent where outbox.message_id = sent.message_id;

begin;
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
), ended as (
  update tasks set status = 'completed', exit_code = 0, completed_at = now(), started_at = now(), progress = 1,
    lease_until = null, deadline = null, ended_by = tasks.attempt
  from held where tasks.task_id = held.task_id
  returning routing_id, routed_at, to_agent, work_type
), attempt_ended as (
  update task_attempts as known set taken_at = now(), started_at = now(), heard_at = now(), ended_at = now(), how = 'completed',
    exit_code = 0
  from held where known.task_id = held.task_id and known.attempt = held.attempt
), outcome as (
  update router_performance_metrics as metrics set succeeded = true, actual_quality_score = 1,
    prediction_error = 1 - confidence_score, execution_time_ms = 5, completed_at = now()
  from ended where metrics.routing_id = ended.routing_id and metrics.routed_at = ended.routed_at
)
insert into agent_performance as known (
  agent_name, work_type, weight, success_sum, quality_weight, quality_sum, time_weight, time_ms_sum, observed_at
)
select to_agent, work_type, count(*), count(*), count(*), count(*), count(*), 5 * count(*), now()
from ended group by to_agent, work_type
on conflict on constraint agent_performance_pkey do update set
  (weight, success_sum, quality_weight, quality_sum, time_weight, time_ms_sum, observed_at) = (
    select known.weight * old + excluded.weight, known.success_sum * old + excluded.success_sum,
      known.quality_weight * old + excluded.quality_weight, known.quality_sum * old + excluded.quality_sum,
      known.time_weight * old + excluded.time_weight, known.time_ms_sum * old + excluded.time_ms_sum, excluded.observed_at
    from (
      select 0.5::float8 ^ (extract(epoch from excluded.observed_at - known.observed_at)::float8 / 1209600) as old offset 0
    ) as faded
  );
update agent_definitions set success_rate = success, quality_score = quality, avg_execution_time_ms = ms
from (
  select sum(success_sum) / sum(weight) as success, sum(quality_sum) / sum(quality_weight) as quality,
    sum(time_ms_sum) / sum(time_weight) as ms
  from agent_performance where agent_name = 'code'
) as shown
where agent_name = 'code' and active;
commit;
