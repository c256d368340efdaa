import type { Db } from "../../runtime/postgres/db.ts";
import type { Transformation } from "../../work/core/handover.ts";
import { openEventEnds } from "./learn.ts";

/**
 * Keeps an event under the last one of the same work, with what was known then; a hand-over ends what was open. Call it while the
 * task is locked and as it was before. The same event again changes nothing.
 */
export async function insertEvent(db: Db, event: Transformation): Promise<void> {
  await db`
    with work as (
      select * from tasks
      where task_id = ${event.taskId} and not exists (
        select from agent_transformation_events as known
        where known.task_id = tasks.task_id and known.occurred_at >= tasks.created_at and known.event_id = ${event.eventId}
      )
    ), last as (
      select event_id, occurred_at from agent_transformation_events
      where task_id = ${event.taskId} and occurred_at >= (select created_at from work)
      order by occurred_at desc, event_id desc limit 1
    ), closed as (
      update agent_transformation_events as event set ${openEventEnds(db)}
      from work
      where event.task_id = work.task_id and event.occurred_at >= work.created_at and event.completed_at is null
        and ${event.type}::text = 'handover'
    )
    insert into agent_transformation_events (
      event_id, occurred_at, parent_event_id, parent_occurred_at, task_id, correlation_id, session_id, source_agent, target_agent,
      source_definition_id, target_definition_id, event_type, role, context_snapshot, routing_confidence, routing_strategy,
      error_message
    )
    select ${event.eventId}::uuid, clock_timestamp(), last.event_id, last.occurred_at, task_id, trace_id, run_id,
      ${event.source}::text, ${event.target}::text,
      (select definition_id from agent_definitions where agent_name = ${event.source} and active),
      (select definition_id from agent_definitions where agent_name = ${event.target} and active),
      ${event.type}::text, ${event.role}::text,
      jsonb_build_object(
        'request_text', request_text, 'work_type', work_type, 'parameters', parameters, 'hints', hints, 'attempt', attempt,
        'reason', ${event.reason}::text, 'context', ${db.json(event.context as never)}::jsonb, 'steps', coalesce((
          select jsonb_agg(jsonb_build_object(
            'attempt', attempt, 'step_number', step_number, 'agent', agent_type, 'action', action, 'status', status,
            'summary', output_summary
          ) order by attempt, step_number)
          from execution_logs where execution_logs.task_id = work.task_id
        ), '[]')
      ),
      ${event.routed?.confidence ?? null}::numeric, ${event.routed?.strategy ?? null}::text, ${event.error}::text
    from work left join last on true
  `;
}

/** An event as callers see it: without the snapshot, which may be large. */
export type EventRow = {
  eventId: string;
  parentEventId: string | null;
  occurredAt: Date;
  eventType: "handover" | "sub_role";
  role: string | null;
  sourceAgent: string;
  targetAgent: string;
  reason: string | null;
  context: Record<string, unknown>;
} & Record<string, unknown>;

/** What happened to work on its way between agents, in order. */
export async function findEvents(db: Db, taskId: string): Promise<EventRow[]> {
  return await db<EventRow[]>`
    select event_id, parent_event_id, event.occurred_at, event_type, role, source_agent, target_agent,
      context_snapshot ->> 'reason' as reason, context_snapshot -> 'context' as context,
      routing_confidence::float8 as routing_confidence, routing_strategy,
      transformation_time_ms::float8 as transformation_time_ms, initialisation_time_ms::float8 as initialisation_time_ms,
      execution_time_ms::float8 as execution_time_ms, quality_score::float8 as quality_score, event.error_message,
      event.completed_at
    from agent_transformation_events as event join tasks using (task_id)
    where event.task_id = ${taskId} and event.occurred_at >= tasks.created_at
    order by event.occurred_at, event_id
  `;
}

/** How often this run of the work has changed hands. */
export async function countHandovers(db: Db, taskId: string, runId: string): Promise<number> {
  const [row] = await db<{ count: number }[]>`
    select count(*)::int as count from agent_transformation_events
    where task_id = ${taskId} and session_id = ${runId} and event_type = 'handover'
  `;
  return row?.count ?? 0;
}

/** Whether this event of the work is kept. */
export async function hasEvent(db: Db, taskId: string, eventId: string): Promise<boolean> {
  const known = await db`
    select from agent_transformation_events where task_id = ${taskId} and event_id = ${eventId}
  `;
  return known.length > 0;
}
