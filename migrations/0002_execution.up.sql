do $$ begin
  create type step_status as enum ('running', 'completed', 'failed');
exception when duplicate_object then null;
end $$;

-- One step of one attempt. Order is step_number, never arrival.
create table if not exists execution_logs (
  log_id uuid constraint execution_logs_pkey primary key,
  task_id uuid not null constraint execution_logs_task_id_fkey references tasks on delete cascade,
  attempt integer not null,
  step_number integer not null,
  agent_type text not null,
  action text not null,
  status step_status not null,
  output_summary text,
  timestamp timestamptz not null,
  duration_ms bigint,
  constraint execution_logs_step_key unique (task_id, attempt, step_number),
  constraint execution_logs_step_positive check (step_number > 0 and attempt > 0),
  constraint execution_logs_summary_short check (char_length(output_summary) <= 500),
  constraint execution_logs_duration_not_negative check (duration_ms >= 0)
);

-- reports by agent type
create index if not exists execution_logs_agent_type_idx on execution_logs (agent_type, timestamp desc);

-- Full output, out of the way of the step's row: past 2 kB a value is moved out of line and reads slow down.
create table if not exists execution_output (
  output_id uuid constraint execution_output_pkey primary key,
  log_id uuid not null constraint execution_output_log_id_fkey references execution_logs on delete cascade,
  chunk_number integer not null,
  encoding text not null,
  output_full text not null,
  output_size_bytes integer not null,
  created_at timestamptz not null default now(),
  constraint execution_output_chunk_key unique (log_id, chunk_number),
  constraint execution_output_encoding_known check (encoding in ('utf8', 'base64')),
  constraint execution_output_size_true check (
    case encoding
      when 'utf8' then output_size_bytes = octet_length(output_full)
      else output_size_bytes <= octet_length(output_full)
    end
  )
);

comment on column execution_output.output_size_bytes is 'Bytes of the output itself, which base64 text exceeds by a third';
