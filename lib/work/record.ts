import type { Message } from "../protocol/messages.ts";
import type { Db, Pool } from "../runtime/db.ts";
import { BACKOFF } from "./lifecycle.ts";
import type { WorkSettings } from "./schema.ts";
import { type ChunkRow, type EndRow, type Held, type Renewal, type StepRow, settle } from "./settle.ts";

/** What a batch did: the attempts it ended, the messages that came too late, and whether work waits for the places left. */
export type Recorded = { ended: EndRow[]; stale: Message[]; workWaits: boolean };

export type Received = { recordId: string; message: Message };
export type Refused = Received & { error: unknown };

/**
 * Records what agents say, a whole batch in one transaction of a few statements. Repeats and messages of earlier attempts change
 * nothing. Where the database refuses a row the messages are recorded one by one, so that only the bad one is refused.
 * Throws where the database does not answer; the queue then delivers the batch again.
 */
export async function recordBatch(
  pool: Pool,
  settings: WorkSettings,
  newId: () => string,
  received: readonly Received[],
): Promise<Recorded & { refused: Refused[] }> {
  try {
    const messages = received.map(({ message }) => message);
    return { ...(await record(pool, settings, newId, messages)), refused: [] };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (received.length === 1)
      return { ended: [], stale: [], workWaits: false, refused: received.map((one) => ({ ...one, error })) };
  }
  const outcomes: (Recorded & { refused: Refused[] })[] = [];
  for (const one of received) outcomes.push(await recordBatch(pool, settings, newId, [one]));
  return {
    ended: outcomes.flatMap((outcome) => outcome.ended),
    stale: outcomes.flatMap((outcome) => outcome.stale),
    refused: outcomes.flatMap((outcome) => outcome.refused),
    workWaits: outcomes.some((outcome) => outcome.workWaits),
  };
}

/** SQLSTATE classes 22 (data), 23 (constraint) and 54 (limit): the row is at fault, and will be again. */
function isRefusal(error: unknown): boolean {
  return /^(22|23|54)/.test(String((error as { code?: unknown }).code));
}

async function record(
  pool: Pool,
  settings: WorkSettings,
  newId: () => string,
  messages: readonly Message[],
): Promise<Recorded> {
  return await pool.begin(async (db) => {
    const held = await holdTasks(db, taskIds(messages));
    const plan = settle(new Map(held.map((task) => [task.taskId, task])), messages);
    // Sent together, run in this order: one round trip instead of five while the rows are locked.
    const [, , , , workWaits] = await Promise.all([
      upsertSteps(db, newId, plan.steps),
      insertChunks(db, newId, plan.chunks),
      renewLeases(db, plan.renewals, settings.LEASE_SECONDS),
      endAttempts(db, plan.ends),
      plan.ends.length > 0 && anyReady(db),
    ]);
    return { ended: plan.ends, stale: plan.stale, workWaits };
  });
}

function taskIds(messages: readonly Message[]): string[] {
  const ids = messages.map((message) => message.payload.task_id).filter((id) => id !== undefined);
  return [...new Set(ids)];
}

/** Locks tasks in the order of their keys, so that two batches about the same work never wait for each other in a ring. */
async function holdTasks(db: Db, ids: string[]): Promise<Held[]> {
  return await db<Held[]>`
    select task_id, trace_id, status, attempt, attempts_used, max_attempts, to_agent, run_id
    from tasks where task_id = any(${ids}::uuid[])
    order by task_id
    for no key update
  `;
}

/** Writes steps; of a step that is there, only one still running changes. */
async function upsertSteps(db: Db, newId: () => string, steps: StepRow[]): Promise<void> {
  if (steps.length === 0) return;
  await db`
    insert into execution_logs as known (
      log_id, task_id, attempt, step_number, agent_type, action, status, output_summary, timestamp, duration_ms
    )
    select log_id, task_id, attempt, step_number, agent, action, status::step_status, summary, started_at::timestamptz,
      duration_ms
    from unnest(
      ${steps.map(newId)}::uuid[],
      ${steps.map((step) => step.taskId)}::uuid[],
      ${steps.map((step) => step.attempt)}::int[],
      ${steps.map((step) => step.step_number)}::int[],
      ${steps.map((step) => step.agent)}::text[],
      ${steps.map((step) => step.action)}::text[],
      ${steps.map((step) => step.status)}::text[],
      ${steps.map((step) => step.summary ?? null)}::text[],
      ${steps.map((step) => step.startedAt)}::text[],
      ${steps.map((step) => step.duration_ms ?? null)}::bigint[]
    ) as told (log_id, task_id, attempt, step_number, agent, action, status, summary, started_at, duration_ms)
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
async function insertChunks(db: Db, newId: () => string, chunks: ChunkRow[]): Promise<void> {
  if (chunks.length === 0) return;
  await db`
    insert into execution_output (output_id, log_id, chunk_number, encoding, output_full, output_size_bytes)
    select piece.output_id, logs.log_id, piece.chunk_number, piece.encoding, piece.output_full, piece.bytes
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

/** Gives attempts whose agents spoke another lease, never past their deadline; the first word starts the clock of the timeout. */
async function renewLeases(db: Db, renewals: Renewal[], leaseSeconds: number): Promise<void> {
  if (renewals.length === 0) return;
  const deadline = db`
    case when tasks.started_at is null
      then now() + make_interval(secs => tasks.timeout_seconds + ${leaseSeconds})
      else tasks.deadline
    end
  `;
  await db`
    update tasks set
      started_at = coalesce(started_at, now()),
      deadline = ${deadline},
      lease_until = least(now() + make_interval(secs => ${leaseSeconds}), ${deadline}),
      progress = greatest(renewal.progress, tasks.progress)
    from unnest(
      ${renewals.map((renewal) => renewal.taskId)}::uuid[],
      ${renewals.map((renewal) => renewal.progress)}::real[]
    ) as renewal (task_id, progress)
    where tasks.task_id = renewal.task_id and tasks.status = 'executing'
  `;
}

/** Ends attempts: final with what they brought, or back to approved, at once or after a backoff. */
async function endAttempts(db: Db, ends: EndRow[]): Promise<void> {
  if (ends.length === 0) return;
  await db`
    update tasks set
      status = ending.status,
      attempts_used = ending.attempts_used,
      exit_code = ending.exit_code,
      error_message = ending.error_message,
      actual_resources = coalesce(ending.metrics::jsonb, tasks.actual_resources),
      external_ai_used = ${mergedAiUse(db)},
      progress = case ending.status when 'completed' then 1 else tasks.progress end,
      started_at = coalesce(tasks.started_at, now()),
      completed_at = case when ending.status = 'approved' then null else now() end,
      ready_at = case when ending.status = 'approved' then now() + make_interval(secs => case
        when ending.backoff::boolean then ${backoff(db)}
        else 0
      end) end,
      lease_until = null,
      deadline = null
    from unnest(
      ${ends.map((end) => end.taskId)}::uuid[],
      ${ends.map((end) => end.attempt)}::int[],
      ${ends.map((end) => end.status)}::task_status[],
      ${ends.map((end) => end.attemptsUsed)}::int[],
      ${ends.map((end) => String(end.backoff))}::text[],
      ${ends.map((end) => end.exitCode)}::int[],
      ${ends.map((end) => end.errorMessage)}::text[],
      ${ends.map((end) => end.metrics)}::text[],
      ${ends.map((end) => end.externalAi)}::text[]
    ) as ending (task_id, attempt, status, attempts_used, backoff, exit_code, error_message, metrics, external_ai)
    where tasks.task_id = ending.task_id and tasks.attempt = ending.attempt and tasks.status = 'executing'
  `;
}

/**
 * What is known stays: what earlier attempts told (each attempt ends once, so nothing is added twice), and what the LLM gateway
 * noted itself. Of what the agent tells now, models that went through the gateway are left out: it has measured them.
 */
function mergedAiUse(db: Db) {
  return db`
    case
      when ending.external_ai is null then tasks.external_ai_used
      else coalesce(tasks.external_ai_used, '[]') || (
        select coalesce(jsonb_agg(told.entry), '[]')
        from jsonb_array_elements(ending.external_ai::jsonb) as told (entry)
        where not exists (
          select from jsonb_array_elements(tasks.external_ai_used) as noted (entry)
          where noted.entry ->> 'via' = 'llm-route' and noted.entry ->> 'model' = told.entry ->> 'model'
        )
      )
    end
  `;
}

/** The backoff after tasks.attempts_used attempts, in seconds, as backoffSeconds of lifecycle.ts has it. */
export function backoff(db: Db) {
  return db`
    least(${BACKOFF.maxSeconds}::float8, ${BACKOFF.baseSeconds}::float8 * 2 ^ greatest(0, tasks.attempts_used - 1))
      * (1 - random() / 2)
  `;
}

/** Whether work could start now if an agent had room. */
async function anyReady(db: Db): Promise<boolean> {
  const [row] = await db<{ ready: boolean }[]>`
    select exists (select from tasks where status = 'approved' and ready_at <= now()) as ready
  `;
  return row?.ready === true;
}
