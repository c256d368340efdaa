-- What submitting one piece of work writes: one row, one commit.
insert into tasks (
  task_id, status, request_id, request_hash, trace_id, run_id, created_by, request_text, work_type, parameters, hints,
  to_agent, priority, timeout_seconds, max_attempts, message_bytes, approval, approved_by, approved_at, approval_reason,
  ready_at
) select
  id, 'approved', id, sha256('x'), id, id, 'bench', 'say hello', 'code.run',
  jsonb_build_object('command', 'echo', 'args', jsonb_build_array(repeat('x', 400))), '{}', 'code', 5, 3600, 3, 2500,
  'auto', 'policy', now(), 'no policy asks for a person to approve code.run', now()
from uuidv7() as id
on conflict on constraint tasks_request_id_key do nothing;
