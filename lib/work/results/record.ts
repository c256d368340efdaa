import type { Actor } from "../../access/actor.ts";
import type { Message } from "../../protocol/messages.ts";
import type { Db, Pool } from "../../runtime/postgres/db.ts";
import { FINAL } from "../core/lifecycle.ts";
import type { Stamp } from "../core/messages.ts";
import type { Outgoing } from "../core/outbox.ts";
import type { Router } from "../core/router-seam.ts";
import type { WorkSettings } from "../settings.ts";
import { endAttempts, renewLeases } from "./attempts.ts";
import type { EndRow, RoleRow } from "./changes.ts";
import { handOverByAgents } from "./handover-by-agent.ts";
import type { LockedTask } from "./locked-task.ts";
import { settle } from "./settle.ts";
import { insertChunks, upsertSteps } from "./steps.ts";

/** What a batch did. `stale`: the messages that came too late; `workWaits`: whether an attempt has ended and work is ready to take its place. */
export type Recorded = { ended: EndRow[]; stale: Message[]; outgoing: Outgoing[]; workWaits: boolean };

const NOTHING: Recorded = { ended: [], stale: [], outgoing: [], workWaits: false };

/** A message, and the queue's id of the record that brought it. */
export type Received = { recordId: string; message: Message };
/** A message that the database refuses, and why. */
export type Refused = Received & { error: unknown };

/**
 * Records what agents say, a whole batch in one transaction of a few statements. Repeats and messages of earlier attempts change
 * nothing. Where the database refuses a row the messages are recorded one by one, so that only the bad one is refused.
 * Throws where the database does not answer; the queue then delivers the batch again.
 */
export async function recordBatch(
  pool: Pool,
  _actor: Actor,
  settings: Pick<WorkSettings, "leaseSeconds">,
  router: Router,
  stamp: Stamp,
  received: readonly Received[],
): Promise<Outcome> {
  return await recordOrSplit(pool, settings, router, stamp, received);
}

type Outcome = Recorded & { refused: Refused[] };

async function recordOrSplit(
  pool: Pool,
  settings: Pick<WorkSettings, "leaseSeconds">,
  router: Router,
  stamp: Stamp,
  received: readonly Received[],
): Promise<Outcome> {
  try {
    const messages = received.map(({ message }) => message);
    return { ...(await record(pool, settings, router, stamp, messages)), refused: [] };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (received.length === 1) return { ...NOTHING, refused: received.map((one) => ({ ...one, error })) };
  }
  const outcomes: Outcome[] = [];
  for (const one of received) outcomes.push(await recordOrSplit(pool, settings, router, stamp, [one]));
  return {
    ended: outcomes.flatMap((outcome) => outcome.ended),
    stale: outcomes.flatMap((outcome) => outcome.stale),
    outgoing: outcomes.flatMap((outcome) => outcome.outgoing),
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
  settings: Pick<WorkSettings, "leaseSeconds">,
  router: Router,
  stamp: Stamp,
  messages: readonly Message[],
): Promise<Recorded> {
  return await pool.begin(async (db) => {
    const held = await holdTasks(db, taskIds(messages));
    const changes = settle(new Map(held.map((task) => [task.taskId, task])), messages);
    const steps = upsertSteps(db, stamp.newId, changes.steps);
    const handedOver = changes.ends.some((end) => end.handedOver !== null);
    // A handover is kept with the steps so far, so they must be there; and it may turn into an end of another kind.
    if (handedOver || changes.roles.length > 0) await steps;
    for (const role of changes.roles) await takeRole(db, router, role);
    const { ends, outgoing } = handedOver
      ? await handOverByAgents(db, router, changes.ends, held, stamp)
      : { ends: changes.ends, outgoing: [] };
    const staying = ends.filter((end) => end.handedOver === null);
    const over = staying.filter(({ status }) => FINAL.includes(status)).map(({ taskId }) => taskId);
    // Sent together, run in this order: one round trip instead of many while the rows are locked.
    const [, , , , workWaits] = await Promise.all([
      steps,
      insertChunks(db, stamp.newId, changes.chunks),
      renewLeases(db, changes.renewals, settings.leaseSeconds),
      endAttempts(db, staying),
      ends.length > 0 && anyReady(db),
      router.learn(db, over),
    ]);
    return { ended: ends, stale: changes.stale, outgoing, workWaits };
  });
}

async function takeRole(db: Db, router: Router, { taskId, agent, role, messageId }: RoleRow): Promise<void> {
  const { name, reason = null, context = {} } = role;
  const about = { eventId: messageId, taskId, source: agent, target: agent, routed: null, error: null };
  await router.insertHandover(db, { ...about, type: "sub_role", role: name, reason, context });
}

function taskIds(messages: readonly Message[]): string[] {
  const ids = messages.map((message) => message.payload.task_id).filter((id) => id !== undefined);
  return [...new Set(ids)];
}

/** Locks tasks in the order of their keys, so that two batches about the same work never wait for each other in a ring. */
async function holdTasks(db: Db, ids: string[]): Promise<LockedTask[]> {
  return await db<LockedTask[]>`
    select task_id, trace_id, status, attempt, attempts_used, max_attempts, to_agent, run_id
    from tasks where task_id = any(${ids}::uuid[])
    order by task_id
    for no key update
  `;
}

/** Whether work could start now if an agent had room. */
async function anyReady(db: Db): Promise<boolean> {
  const [row] = await db<{ ready: boolean }[]>`
    select exists (select from tasks where status = 'approved' and ready_at <= now()) as ready
  `;
  return row?.ready === true;
}
