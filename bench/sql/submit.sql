-- What submitting one piece of work writes: its row and that of its decision, one commit.
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
  from uuidv7() as id
  on conflict on constraint tasks_request_id_key do nothing
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
