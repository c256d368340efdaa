import type { Actor } from "../../access/actor.ts";
import { auditing, type Event } from "../../access/record.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { Routed } from "../core/router-seam.ts";
import type { SubmitWork } from "../core/schema.ts";
import { type TaskRow, taskColumns } from "../core/task-row.ts";

/** A row of tasks as it begins, by the names of its columns; routing and agent come from the decision beside it. */
export type NewTask = Omit<SubmitWork, "request_id" | "to_agent" | "on_behalf_of"> & {
  task_id: string;
  team_id: string;
  created_by: string;
  created_by_id: string | null;
  on_behalf_of: string | null;
  request_id: string;
  request_hash: Uint8Array;
  trace_id: string;
  concurrency_key: string | null;
  message_bytes: number;
  status: "pending" | "approved";
  approval_reason: string | null;
  rerun_of: string | null;
};

/**
 * Inserts work once per request_id of its team, approved at once where the status says so, and with it the router's decision. Answers nothing
 * when the key is taken; then neither the decision is kept nor that the actor has submitted it.
 */
export async function insertOnce(db: Db, actor: Actor, task: NewTask, routed: Routed): Promise<TaskRow | undefined> {
  const approved = task.status === "approved";
  const [row] = await db<TaskRow[]>`
    with decided as (
      insert into tasks (
        task_id, team_id, status, request_id, request_hash, trace_id, run_id, project_id, created_by, created_by_id, on_behalf_of,
        request_text, work_type,
        parameters, hints, to_agent, priority, not_before, timeout_seconds, max_attempts, message_bytes,
        estimated_resources, approval, approved_by, approved_at, approval_reason, ready_at,
        routing_id, routed_at, routing, concurrency_key, rerun_of
      ) select
        ${task.task_id}, ${task.team_id}, ${task.status}, ${task.request_id}, ${task.request_hash}, ${task.trace_id}, ${task.request_id},
        ${task.project_id ?? null}, ${task.created_by}, ${task.created_by_id}, ${task.on_behalf_of}, ${task.request_text}, ${task.work_type},
        ${db.json(task.parameters)}, ${db.json(task.hints)}, ${routed.agent}, ${task.priority},
        ${task.not_before ?? null}, ${task.timeout_seconds}, ${task.max_attempts}, ${task.message_bytes},
        ${task.estimated_resources === undefined ? null : db.json(task.estimated_resources)},
        ${task.approval}, ${approved ? "policy" : null}, ${approved ? db`now()` : null}, ${task.approval_reason},
        ${approved ? db`greatest(now(), ${task.not_before ?? null}::timestamptz)` : null},
        ${routed.routingId}, now(), ${db.json(routed.routing)}, ${task.concurrency_key}, ${task.rerun_of}
      where ${routed.holds(db)}
      on conflict on constraint tasks_request_id_key do nothing
      returning routed_at, stopping, ${taskColumns(db)}
    ), kept as (
      ${routed.keep(db)}
    ), audited as (
      ${auditing(db, actor, submissionOf(task, routed), db`from decided`)}
    )
    select ${taskColumns(db)} from decided
  `;
  return row;
}

function submissionOf(task: NewTask, { agent }: Routed): Event {
  const { status, work_type, rerun_of } = task;
  return {
    action: rerun_of === null ? "work.submitted" : "work.rerun",
    object: ["work", task.task_id],
    team: task.team_id,
    onBehalfOf: task.on_behalf_of,
    details: { status, work_type, agent, ...(rerun_of === null ? {} : { rerun_of }) },
  };
}

/** The work that a request_id has made in a team, with the SHA-256 of what was asked then; undefined where the key is new. */
export async function findByRequest(
  db: Db,
  teamId: string,
  requestId: string,
): Promise<(TaskRow & { requestHash: Buffer }) | undefined> {
  const [row] = await db<(TaskRow & { requestHash: Buffer })[]>`
    select ${taskColumns(db)}, request_hash from tasks where team_id = ${teamId} and request_id = ${requestId}
  `;
  return row;
}
