import type { Db } from "../../runtime/postgres/db.ts";
import type { ChunkRow, StepRow } from "./changes.ts";

/** Writes steps; of a step that is there, only one still running changes. */
export async function upsertSteps(db: Db, newId: () => string, steps: StepRow[]): Promise<void> {
  if (steps.length === 0) return;
  await db`
    insert into execution_logs as known (
      log_id, task_id, team_id, attempt, step_number, agent_type, action, status, output_summary, timestamp, duration_ms
    )
    select log_id, task_id, team_id, attempt, step_number, agent, action, status::step_status, summary, started_at::timestamptz,
      duration_ms
    from unnest(
      ${steps.map(newId)}::uuid[],
      ${steps.map((step) => step.taskId)}::uuid[],
      ${steps.map((step) => step.teamId)}::uuid[],
      ${steps.map((step) => step.attempt)}::int[],
      ${steps.map((step) => step.step_number)}::int[],
      ${steps.map((step) => step.agent)}::text[],
      ${steps.map((step) => step.action)}::text[],
      ${steps.map((step) => step.status)}::text[],
      ${steps.map((step) => step.summary ?? null)}::text[],
      ${steps.map((step) => step.startedAt)}::text[],
      ${steps.map((step) => step.duration_ms ?? null)}::bigint[]
    ) as told (log_id, task_id, team_id, attempt, step_number, agent, action, status, summary, started_at, duration_ms)
    on conflict on constraint execution_logs_step_key do update set
      action = excluded.action,
      status = excluded.status,
      output_summary = case
        when excluded.status = 'running' then coalesce(known.output_summary, excluded.output_summary)
        else coalesce(excluded.output_summary, known.output_summary)
      end,
      timestamp = least(known.timestamp, excluded.timestamp),
      duration_ms = coalesce(excluded.duration_ms, known.duration_ms)
    where known.status = 'running'
  `;
}

/** Adds pieces of output to their steps; a piece that is there stays as it is. */
export async function insertChunks(db: Db, newId: () => string, chunks: ChunkRow[]): Promise<void> {
  if (chunks.length === 0) return;
  await db`
    insert into execution_output (output_id, team_id, log_id, chunk_number, encoding, output_full, output_size_bytes)
    select piece.output_id, logs.team_id, logs.log_id, piece.chunk_number, piece.encoding, piece.output_full, piece.bytes
    from unnest(
      ${chunks.map(newId)}::uuid[],
      ${chunks.map((chunk) => chunk.taskId)}::uuid[],
      ${chunks.map((chunk) => chunk.attempt)}::int[],
      ${chunks.map((chunk) => chunk.stepNumber)}::int[],
      ${chunks.map((chunk) => chunk.chunk_number)}::int[],
      ${chunks.map((chunk) => chunk.encoding)}::text[],
      ${chunks.map((chunk) => chunk.text)}::text[],
      ${chunks.map((chunk) => chunk.bytes)}::int[]
    ) as piece (output_id, task_id, attempt, step_number, chunk_number, encoding, output_full, bytes)
    join execution_logs as logs using (task_id, attempt, step_number)
    on conflict on constraint execution_output_chunk_key do nothing
  `;
}
