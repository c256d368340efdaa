import type { Actor } from "../../access/actor.ts";
import type { Message } from "../../protocol/messages.ts";
import type { Db, Pool } from "../../runtime/postgres/db.ts";
import { stopMessages } from "../attempts/messages.ts";
import { holdWork, keepWork } from "../attempts/store.ts";
import type { Clock, Work } from "../attempts/work.ts";
import type { Stamp } from "../core/messages.ts";
import { insertOutbox, type Outgoing } from "../core/outbox.ts";
import type { Router } from "../core/router-seam.ts";
import type { WorkSettings } from "../settings.ts";
import { type Changes, type Ended, endedOf, type RoleRow, type Stale } from "./changes.ts";
import { handOverByAgents } from "./handover-by-agent.ts";
import { settle } from "./settle.ts";
import { insertChunks, upsertSteps } from "./steps.ts";

/** What a batch did. `stale`: the messages that changed nothing of their work, each with the reason; `workWaits`: whether an attempt has ended and work is ready to take its place. */
export type Recorded = { ended: Ended[]; stale: Stale[]; outgoing: Outgoing[]; workWaits: boolean };

const NOTHING: Recorded = { ended: [], stale: [], outgoing: [], workWaits: false };

/** A message, and the queue's id of the record that brought it. */
export type Received = { recordId: string; message: Message };
/** A message that the database refuses, and why. */
export type Refused = Received & { error: unknown };

type LeaseSettings = Pick<WorkSettings, "leaseSeconds" | "pickupSeconds">;

/**
 * Records what agents say, a whole batch in one transaction of a few statements. Repeats change
 * nothing. Where the database refuses a row the messages are recorded one by one, so that only the bad one is refused.
 * Throws where the database does not answer; the queue then delivers the batch again.
 */
export async function recordBatch(
  pool: Pool,
  _actor: Actor,
  settings: LeaseSettings,
  router: Router,
  stamp: Stamp,
  received: readonly Received[],
): Promise<Outcome> {
  return await recordOrSplit(pool, settings, router, stamp, received);
}

type Outcome = Recorded & { refused: Refused[] };

async function recordOrSplit(
  pool: Pool,
  settings: LeaseSettings,
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
  settings: LeaseSettings,
  router: Router,
  stamp: Stamp,
  messages: readonly Message[],
): Promise<Recorded> {
  return await pool.begin(async (db) => {
    const { works, now } = await holdWork(db, taskIds(messages));
    const clock: Clock = { now, dice: stamp.dice, ...settings };
    const changes = settle(new Map(works.map((work) => [work.taskId, work])), messages, clock);
    const steps = upsertSteps(db, stamp.newId, changes.steps);
    // A handover is kept with the steps so far, so they must be there.
    if (changes.handings.length > 0 || changes.roles.length > 0) await steps;
    for (const role of changes.roles) await takeRole(db, router, role);
    const stops = stopMessages(changes.stops, stamp);
    // Sent together, run in this order: one round trip instead of many while the rows are locked.
    await Promise.all([
      steps,
      insertChunks(db, stamp.newId, changes.chunks),
      keepWork(db, works),
      insertOutbox(db, stops),
    ]);
    const handedOver = await handOverByAgents(db, router, changes.handings, clock, stamp);
    const ended = [...changes.ended.map(({ work, attempt }) => endedOf(work, attempt)), ...handedOver.ended];
    const over = finished(changes);
    const [workWaits] = await Promise.all([ended.length > 0 && anyReady(db), router.learn(db, over)]);
    return { ended, stale: changes.stale, outgoing: [...stops, ...handedOver.outgoing], workWaits };
  });
}

/** The work that agents have ended for good. */
function finished({ ended, handings }: Changes): string[] {
  const works = new Set<Work>([...ended.map(({ work }) => work), ...handings.map(({ work }) => work)]);
  return [...works].filter(({ status }) => status === "completed" || status === "failed").map(({ taskId }) => taskId);
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

/** Whether work could start now if an agent had room. */
async function anyReady(db: Db): Promise<boolean> {
  const [row] = await db<{ ready: boolean }[]>`
    select exists (select from tasks where status = 'approved' and ready_at <= now()) as ready
  `;
  return row?.ready === true;
}
