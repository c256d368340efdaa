import { CallerError } from "../../errors.ts";
import { type HandedOn, type Handover, MAX_MESSAGE_BYTES, ORCHESTRATOR } from "../../protocol/messages.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import { forgetApart } from "./apart.ts";
import { askOf, type Routed, type Router } from "./router-seam.ts";
import type { TaskRow } from "./task-row.ts";

/** One run of work changes hands at most so often: two agents that each hold the other for the right one end here. */
const MOST_HANDOVERS = 10;

/** A handover to be carried out: of which work, from whom, what was said, and the id under which it is kept. */
export type Handing = { task: TaskRow; from: string; handover: Handover; eventId: string };

/** As the task keeps it: what the next agent gets, and what the sweep asks of others where nobody was found. */
type Kept = HandedOn & Pick<Handover, "capabilities">;

/**
 * Gives locked work that is approved or executing to another agent and keeps the handover. Answers the agent, or null where nobody
 * was found and the work waits for a person; with `mustFind` that is an error too. Throws a CallerError where it cannot be done,
 * and changes nothing then.
 */
export async function handOverLocked(
  db: Db,
  router: Pick<Router, "route" | "countHandovers" | "insertHandover">,
  handing: Handing,
  mustFind = false,
): Promise<string | null> {
  const { task, from, handover, eventId } = handing;
  const { to_agent, capabilities, reason, context = {} } = handover;
  const { taskId, runId } = task;
  if ((await router.countHandovers(db, taskId, runId)) >= MOST_HANDOVERS) {
    const message = `It has changed hands ${MOST_HANDOVERS} times already. Once it has ended, or is cancelled, retry starts a run of its own.`;
    throw new CallerError(409, "too_many_handovers", message);
  }
  const routed = await router.route(db, task.teamId, { ...askOf(task), to_agent, capabilities, exclude: [from] });
  const { agent, routing } = routed;
  if (agent === null && mustFind) {
    throw new CallerError(
      409,
      "no_other_agent",
      `The work stays where it is, as no other agent can be chosen. Name one in to_agent. The router says: ${routing.reason}`,
    );
  }
  const kept: Kept = { from_agent: from, reason, context, capabilities };
  if (!(await fits(db, taskId, kept))) {
    const message = `The context does not fit: the next request would be larger than the ${MAX_MESSAGE_BYTES} bytes that a queue takes.`;
    throw new CallerError(413, "handover_too_large", message);
  }
  const moved = { eventId, taskId, type: "handover", source: from, target: agent ?? ORCHESTRATOR, role: null } as const;
  const { confidence, strategy } = routing;
  const error = agent === null ? routing.reason : null;
  await router.insertHandover(db, { ...moved, reason, context, routed: { confidence, strategy }, error });
  await move(db, taskId, routed, kept);
  return agent;
}

/** Size of the next work_request, or a little more; what the last handover took is taken off again. */
const bytesWith = (db: Db, kept: Kept) =>
  db`message_bytes - coalesce(octet_length(handover::text), 0) + octet_length((${db.json(kept)}::jsonb)::text)`;

async function fits(db: Db, taskId: string, kept: Kept): Promise<boolean> {
  const [row] = await db<{ bytes: number }[]>`
    select ${bytesWith(db, kept)} as bytes from tasks where task_id = ${taskId}
  `;
  return row !== undefined && row.bytes <= MAX_MESSAGE_BYTES;
}

/** Puts work into the hands of another agent, or of nobody; its attempts are the caller's to end. */
async function move(db: Db, taskId: string, routed: Routed, kept: Kept): Promise<void> {
  const chosen = routed.agent !== null;
  await db`
    with decided as (
      update tasks set
        status = ${chosen ? "approved" : "pending"}, to_agent = ${routed.agent}, routing_id = ${routed.routingId},
        routed_at = now(), routing = ${db.json(routed.routing)}, message_bytes = ${bytesWith(db, kept)},
        handover = ${db.json(kept)}, progress = null, ready_at = ${chosen ? db`greatest(now(), not_before)` : null}, lease_until = null, deadline = null
        ${chosen ? db`` : db`, approved_by = null, approved_at = null, approval_reason = null`}
      where task_id = ${taskId}
      returning task_id, team_id, routed_at, work_type
    )
    ${routed.keep(db)}
  `;
  await forgetApart(db, taskId);
}
