import { CallerError } from "../../errors.ts";
import { type HandedOn, type Handover, MAX_MESSAGE_BYTES, ORCHESTRATOR } from "../../protocol/messages.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { EndRow, Held } from "../core/locked-task.ts";
import { refusal, type Stamp } from "../core/messages.ts";
import { insertOutbox, type Outgoing } from "../core/outbox.ts";
import { findTask, type TaskRow } from "../core/queries.ts";
import { askOf, type Registry, type Routed } from "../core/router-seam.ts";
import { handoverFailed } from "./outcome.ts";

/** One run of work changes hands at most so often: two agents that each hold the other for the right one end here. */
const MOST_HANDOVERS = 10;

/** What is passed on, and by whom. */
export type Passing = { task: TaskRow; from: string; handover: Handover; eventId: string };

/** As the task keeps it: what the next agent gets, and what the sweep asks of others where nobody was found. */
type Kept = HandedOn & Pick<Handover, "capabilities">;

/**
 * Carries out what agents said in a batch: the work goes to the agent that they name or the router chooses, or waits for a person
 * where there is none. One that cannot be carried out ends its attempt as a failure, of which its agent is told. Answers the ends
 * as they are then and what is to be sent.
 */
export async function passOn(
  db: Db,
  registry: Registry,
  ends: readonly EndRow[],
  held: readonly Held[],
  stamp: Stamp,
): Promise<{ ends: EndRow[]; outgoing: Outgoing[] }> {
  const outgoing: Outgoing[] = [];
  const outcomes: EndRow[] = [];
  for (const end of ends) {
    const before = held.find(({ taskId }) => taskId === end.taskId);
    if (end.passedOn === null || before === undefined || before.toAgent === null) {
      outcomes.push(end);
      continue;
    }
    const { taskId, attempt, toAgent } = { ...before, toAgent: before.toAgent };
    const { handover, messageId: eventId } = end.passedOn;
    try {
      const task = await findTask(db, taskId);
      if (task === undefined) throw new Error(`task ${taskId} is locked and not there`);
      const agent = await pass(db, registry, { task, from: toAgent, handover, eventId });
      outcomes.push({ ...end, status: agent === null ? "pending" : "approved" });
    } catch (error) {
      if (!(error instanceof CallerError)) throw error;
      const reason = `the work could not be handed over: ${error.message}`;
      outgoing.push({ ...refusal({ ...before, toAgent }, 5007, reason, stamp), toAgent, taskId, attempt });
      outcomes.push(handoverFailed(before, reason));
    }
  }
  await insertOutbox(db, outgoing);
  return { ends: outcomes, outgoing };
}

/**
 * Gives locked work that is approved or executing to another agent and keeps the event. Answers the agent, or null where nobody was
 * found and the work waits for a person. Throws a CallerError where the handover cannot be done, and changes nothing then.
 */
export async function pass(db: Db, registry: Registry, passing: Passing, mustFind = false): Promise<string | null> {
  const { task, from, handover, eventId } = passing;
  const { to_agent, capabilities, reason, context = {} } = handover;
  const { taskId, runId } = task;
  if ((await registry.countHandovers(db, taskId, runId)) >= MOST_HANDOVERS) {
    const message = `It has changed hands ${MOST_HANDOVERS} times already. Once it has ended, or is cancelled, retry starts a run of its own.`;
    throw new CallerError(409, "too_many_handovers", message);
  }
  const routed = await registry.route(db, { ...askOf(task), to_agent, capabilities, exclude: [from] });
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
  const event = { eventId, taskId, type: "handover", source: from, target: agent ?? ORCHESTRATOR, role: null } as const;
  const { confidence, strategy } = routing;
  const error = agent === null ? routing.reason : null;
  await registry.insertEvent(db, { ...event, reason, context, routed: { confidence, strategy }, error });
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

/** Puts work into the hands of another agent, or of nobody; an attempt that this ends does not count. */
async function move(db: Db, taskId: string, routed: Routed, kept: Kept): Promise<void> {
  const chosen = routed.agent !== null;
  await db`
    with decided as (
      update tasks set
        status = ${chosen ? "approved" : "pending"}, to_agent = ${routed.agent}, routing_id = ${routed.routingId},
        routed_at = now(), routing = ${db.json(routed.routing)}, message_bytes = ${bytesWith(db, kept)},
        handover = ${db.json(kept)}, attempts_used = greatest(0, attempts_used - (status = 'executing')::int),
        progress = null, ready_at = ${chosen ? db`greatest(now(), not_before)` : null}, lease_until = null, deadline = null
        ${chosen ? db`` : db`, approved_by = null, approved_at = null, approval_reason = null`}
      where task_id = ${taskId}
      returning task_id, routed_at, work_type
    )
    ${routed.keep(db)}
  `;
}
