import type { Actor } from "../../access/actor.ts";
import { ofTeam } from "../../access/of-team.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { NewHandover } from "../../work/core/router-seam.ts";
import { openHandoverEnds } from "./handover-times.ts";

/**
 * Keeps a handover, or a part that an agent takes, under the last one of the same work, with what was known then; a handover ends what
 * was open. Call it while the task is locked and as it was before. The same eventId again changes nothing.
 */
export async function insertHandover(db: Db, handover: NewHandover): Promise<void> {
  await db`
    with work as (
      select * from tasks
      where task_id = ${handover.taskId} and not exists (
        select from agent_transformation_events as known
        where known.task_id = tasks.task_id and known.occurred_at >= tasks.created_at and known.event_id = ${handover.eventId}
      )
    ), last as (
      select event_id, occurred_at from agent_transformation_events
      where task_id = ${handover.taskId} and occurred_at >= (select created_at from work)
      order by occurred_at desc, event_id desc limit 1
    ), closed as (
      update agent_transformation_events as handover set ${openHandoverEnds(db)}
      from work
      where handover.task_id = work.task_id and handover.occurred_at >= work.created_at and handover.completed_at is null
        and ${handover.type}::text = 'handover'
    )
    insert into agent_transformation_events (
      event_id, team_id, occurred_at, parent_event_id, parent_occurred_at, task_id, correlation_id, session_id, source_agent, target_agent,
      source_definition_id, target_definition_id, event_type, role, context_snapshot, routing_confidence, routing_strategy,
      error_message
    )
    select ${handover.eventId}::uuid, team_id, clock_timestamp(), last.event_id, last.occurred_at, task_id, trace_id, run_id,
      ${handover.source}::text, ${handover.target}::text,
      (select definition_id from agent_definitions as a where a.team_id = work.team_id and agent_name = ${handover.source} and active),
      (select definition_id from agent_definitions as a where a.team_id = work.team_id and agent_name = ${handover.target} and active),
      ${handover.type}::text, ${handover.role}::text,
      jsonb_build_object(
        'request_text', request_text, 'work_type', work_type, 'parameters', parameters, 'hints', hints, 'attempt', attempt,
        'reason', ${handover.reason}::text, 'context', ${db.json(handover.context as never)}::jsonb, 'steps', coalesce((
          select jsonb_agg(jsonb_build_object(
            'attempt', attempt, 'step_number', step_number, 'agent', agent_type, 'action', action, 'status', status,
            'summary', output_summary
          ) order by attempt, step_number)
          from execution_logs where execution_logs.task_id = work.task_id
        ), '[]')
      ),
      ${handover.routed?.confidence ?? null}::numeric, ${handover.routed?.strategy ?? null}::text, ${handover.error}::text
    from work left join last on true
  `;
}

/**
 * How work went from agent to agent, in order: at most `limit` rows of the columns of LoggedHandover after that event, or the `latest`,
 * last first and without contexts over 10 kB. The snapshot, which may be large, is not told.
 */
export async function findHandovers(
  db: Db,
  actor: Actor,
  taskId: string,
  { limit, after, latest = false }: { limit: number; after?: string | undefined; latest?: boolean },
): Promise<Record<string, unknown>[]> {
  const order = latest ? db`desc` : db`asc`;
  const context = db`context_snapshot -> 'context'`;
  return await db`
    select event_id, parent_event_id, handover.occurred_at, event_type, role, source_agent, target_agent,
      context_snapshot ->> 'reason' as reason,
      ${latest ? db`case when octet_length((${context})::text) <= 10000 then ${context} end` : context} as context,
      octet_length((${context})::text) as context_bytes,
      routing_confidence::float8 as routing_confidence, routing_strategy,
      transformation_time_ms::float8 as transformation_time_ms, initialisation_time_ms::float8 as initialisation_time_ms,
      execution_time_ms::float8 as execution_time_ms, quality_score::float8 as quality_score, handover.error_message,
      handover.completed_at
    from agent_transformation_events as handover join tasks using (task_id)
    where handover.task_id = ${taskId} and ${ofTeam(db, actor, "handover")} and handover.occurred_at >= tasks.created_at
      ${
        after === undefined
          ? db``
          : db`and (handover.occurred_at, event_id) > (
            select occurred_at, event_id from agent_transformation_events where task_id = ${taskId} and event_id = ${after}
          )`
      }
    order by handover.occurred_at ${order}, event_id ${order}
    limit ${limit}
  `;
}

/** How often work has changed hands, in all its runs, and how often its agents have taken a part. */
export async function countAllHandovers(db: Db, actor: Actor, taskId: string): Promise<number> {
  const [row] = await db<{ count: number }[]>`
    select count(*)::int as count
    from agent_transformation_events as handover join tasks using (task_id)
    where handover.task_id = ${taskId} and ${ofTeam(db, actor, "handover")} and handover.occurred_at >= tasks.created_at
  `;
  return row?.count ?? 0;
}

/** Ends the open handovers of work that has been cancelled: of that nothing is learnt. */
export async function closeHandovers(db: Db, taskId: string): Promise<void> {
  await db`
    update agent_transformation_events as handover set ${openHandoverEnds(db)}
    from tasks
    where handover.task_id = ${taskId} and tasks.task_id = ${taskId} and handover.occurred_at >= tasks.created_at
      and handover.completed_at is null
  `;
}

/** How often this run of the work has changed hands; parts that agents took do not count. */
export async function countHandovers(db: Db, taskId: string, runId: string): Promise<number> {
  const [row] = await db<{ count: number }[]>`
    select count(*)::int as count from agent_transformation_events
    where task_id = ${taskId} and session_id = ${runId} and event_type = 'handover'
  `;
  return row?.count ?? 0;
}

/** So many roles of one piece of work are kept, and none beyond so many bytes of their snapshots. */
const MOST_ROLES = 100;
const MOST_ROLE_BYTES = 4 * 1024 * 1024;

/** Why no other role of this locked work is kept, as a sentence; undefined where it is, also where this event is kept already. */
export async function whyNoRole(db: Db, taskId: string, eventId: string): Promise<string | undefined> {
  const [row] = await db<{ count: number; bytes: number; isKept: boolean }[]>`
    select count(*)::int as count, coalesce(sum(octet_length(context_snapshot::text)), 0)::float8 as bytes,
      coalesce(bool_or(event_id = ${eventId}), false) as is_kept
    from agent_transformation_events as role join tasks using (task_id)
    where role.task_id = ${taskId} and role.occurred_at >= tasks.created_at and event_type = 'sub_role'
  `;
  const { count, bytes, isKept } = row ?? { count: 0, bytes: 0, isKept: false };
  if (isKept || (count < MOST_ROLES && bytes < MOST_ROLE_BYTES)) return undefined;
  return `Of one piece of work ${MOST_ROLES} roles are kept, and none once they take 4 MiB with their contexts; it has ${count} of ${Math.ceil(bytes / 1024)} KiB.`;
}

/** Whether this handover of the work is kept. */
export async function hasHandover(db: Db, taskId: string, eventId: string): Promise<boolean> {
  const known = await db`
    select from agent_transformation_events where task_id = ${taskId} and event_id = ${eventId}
  `;
  return known.length > 0;
}
