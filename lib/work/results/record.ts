import type { Actor } from "../../access/actor.ts";
import type { AgentOfTeam } from "../../access/agent-of-team.ts";
import type { Message, Raw } from "../../protocol/messages.ts";
import type { Db, Pool } from "../../runtime/postgres/db.ts";
import { stopMessages } from "../attempts/messages.ts";
import { holdWork, keepWork } from "../attempts/store.ts";
import type { Clock, Work } from "../attempts/work.ts";
import type { Seal } from "../core/messages.ts";
import { insertOutbox, type Outgoing } from "../core/outbox.ts";
import type { Router, TakenBack } from "../core/router-seam.ts";
import { isOfTheWork } from "../core/spoilt.ts";
import type { LeaseSettings } from "../settings.ts";
import { type Changes, type Ended, endedOf, type RoleRow, type Stale } from "./changes.ts";
import { handOverByAgents } from "./handover-by-agent.ts";
import { type Proofs, whyUnproven } from "./proof.ts";
import { settle } from "./settle.ts";
import { insertChunks, upsertSteps } from "./steps.ts";
import { askForMissing } from "./tell-again.ts";

/** What a batch did. `speakers`: the agents that have told of their work; `stale`: the messages that changed nothing of their work, each with the reason; `workWaits`: whether an attempt has ended and work is ready to take its place. */
export type Recorded = {
  speakers: AgentOfTeam[];
  ended: Ended[];
  stale: Stale[];
  outgoing: Outgoing[];
  workWaits: boolean;
};

const NOTHING: Recorded = { speakers: [], ended: [], stale: [], outgoing: [], workWaits: false };

/** A message with the text of it that was read, and the queue's id of the record that brought it. */
export type Received = { recordId: string; message: Message; raw: Raw };
/** A message that could not be recorded, or is not believed (Unproven), and why. */
export type Refused = Received & { error: unknown };

/**
 * Records what agents say, a whole batch in one transaction of a few statements. Repeats change nothing. Where one of them may be at
 * fault, or its row is somebody's for longer than a second, they are recorded one by one, so that only those are refused which are.
 * Throws where the database does not answer or cannot; the queue then delivers the batch again.
 */
export async function recordBatch(
  pool: Pool,
  _actor: Actor,
  settings: LeaseSettings,
  router: Router,
  seal: Seal,
  proofs: Proofs,
  received: readonly Received[],
): Promise<Outcome> {
  const recordAll = async (some: readonly Received[], lockTimeout: string): Promise<Outcome> =>
    await record(pool, settings, router, seal, proofs, some, lockTimeout);
  try {
    return await recordAll(received, "1s");
  } catch (error) {
    if (!isOfTheWork(error)) throw error;
  }
  const outcomes: Outcome[] = [];
  const locked = new Map<string | undefined, unknown>();
  for (const one of received) {
    const { task_id } = one.message.payload;
    try {
      // What else is said of work whose row is somebody's waits with the first of it.
      if (locked.has(task_id)) throw locked.get(task_id);
      outcomes.push(await recordAll([one], "100ms"));
    } catch (error) {
      if (!isOfTheWork(error)) throw error;
      if (isLocked(error)) locked.set(task_id, error);
      outcomes.push({ ...NOTHING, refused: [{ ...one, error }] });
    }
  }
  return {
    speakers: outcomes.flatMap((outcome) => outcome.speakers),
    ended: outcomes.flatMap((outcome) => outcome.ended),
    stale: outcomes.flatMap((outcome) => outcome.stale),
    outgoing: outcomes.flatMap((outcome) => outcome.outgoing),
    refused: outcomes.flatMap((outcome) => outcome.refused),
    workWaits: outcomes.some((outcome) => outcome.workWaits),
  };
}

type Outcome = Recorded & { refused: Refused[] };

function isLocked(error: unknown): boolean {
  return (error as { code?: unknown }).code === "55P03";
}

async function record(
  pool: Pool,
  settings: LeaseSettings,
  router: Router,
  seal: Seal,
  proofs: Proofs,
  received: readonly Received[],
  lockTimeout: string,
): Promise<Outcome> {
  return await pool.begin(async (db) => {
    const [, keys, { works, now }] = await Promise.all([
      limitLocks(db, lockTimeout),
      proofs.agentKeys(db, keyIds(received)),
      holdWork(db, taskIds(received)),
    ]);
    const clock: Clock = { now, dice: seal.dice, ...settings };
    const failed = failuresOf(works);
    const held = new Map(works.map((work) => [work.taskId, work]));
    const { refused, messages } = believed(received, held, keys, proofs);
    const changes = settle(held, messages, clock);
    const steps = upsertSteps(db, seal.newId, changes.steps);
    // A handover is kept with the steps so far, so they must be there.
    if (changes.handings.length > 0 || changes.roles.length > 0) await steps;
    for (const role of changes.roles) await takeRole(db, router, role, changes);
    const stops = stopMessages(changes.stops, seal);
    // Sent together, run in this order: one round trip instead of many while the rows are locked.
    const writes = [
      steps,
      insertChunks(db, seal.newId, changes.chunks),
      keepWork(db, works),
      insertOutbox(db, stops),
      askForMissing(db, changes.ended, seal),
    ];
    // A handover changes the rows itself, after all that.
    if (changes.handings.length > 0) await Promise.all(writes);
    const handedOver = await handOverByAgents(db, router, changes.handings, clock, seal);
    const ended = [...changes.ended.map(({ work, attempt }) => endedOf(work, attempt)), ...handedOver.ended];
    const over = finished(changes);
    const takenBack = failed.filter(({ taskId }) => over.includes(taskId));
    const learns = router.learn(db, over, takenBack);
    const [workWaits] = await Promise.all([ended.length > 0 && anyReady(db), learns, ...writes]);
    return {
      speakers: speakersOf(works, messages),
      ended,
      stale: changes.stale,
      outgoing: [...stops, ...handedOver.outgoing],
      workWaits,
      refused,
    };
  });
}

/** The messages that are what they say they are, and the others with the reason. */
function believed(
  received: readonly Received[],
  held: ReadonlyMap<string, Work>,
  keys: Awaited<ReturnType<Proofs["agentKeys"]>>,
  proofs: Proofs,
): { refused: Refused[]; messages: Message[] } {
  const refused: Refused[] = [];
  const messages = received.flatMap((one) => {
    const { message, raw } = one;
    const error = whyUnproven(message, raw, held.get(message.payload.task_id ?? ""), keys, proofs);
    if (error === undefined) return [message];
    refused.push({ ...one, error });
    return [];
  });
  return { refused, messages };
}

/** The work that had failed already: if it ends now, it was completed after all. */
function failuresOf(works: readonly Work[]): TakenBack[] {
  return works.flatMap(({ taskId, status, toAgent: agent }) =>
    status === "failed" && agent !== null ? [{ taskId, agent }] : [],
  );
}

function speakersOf(works: readonly Work[], messages: readonly Message[]): AgentOfTeam[] {
  const teams = new Map(works.map(({ taskId, teamId }) => [taskId, teamId]));
  return messages.flatMap(({ from_agent: agent, payload: { task_id = "" } }) => {
    const teamId = teams.get(task_id);
    return teamId === undefined ? [] : [{ teamId, agent }];
  });
}

/** The work that agents have ended for good. */
function finished({ ended, handings }: Changes): string[] {
  const works = new Set<Work>([...ended.map(({ work }) => work), ...handings.map(({ work }) => work)]);
  return [...works].filter(({ status }) => status === "completed" || status === "failed").map(({ taskId }) => taskId);
}

async function takeRole(db: Db, router: Router, row: RoleRow, { stale }: Pick<Changes, "stale">): Promise<void> {
  const { taskId, agent, role, message } = row;
  const { message_id: messageId } = message;
  const full = await router.whyNoRole(db, taskId, messageId);
  if (full !== undefined) return void stale.push({ message, why: `its role is not kept: ${full}` });
  const { name, reason = null, context = {} } = role;
  const about = { eventId: messageId, taskId, source: agent, target: agent, routed: null, error: null };
  await router.insertHandover(db, { ...about, type: "sub_role", role: name, reason, context });
}

function taskIds(received: readonly Received[]): string[] {
  const ids = received.map(({ message }) => message.payload.task_id).filter((id) => id !== undefined);
  return [...new Set(ids)];
}

function keyIds(received: readonly Received[]): string[] {
  return [...new Set(received.flatMap(({ message }) => message.key_id ?? []))];
}

/** Has no statement of this transaction wait longer for a row that somebody else holds. */
async function limitLocks(db: Db, lockTimeout: string): Promise<void> {
  await db`select set_config('lock_timeout', ${lockTimeout}, true)`;
}

/** Whether work could start now if an agent had room. */
async function anyReady(db: Db): Promise<boolean> {
  const [row] = await db<{ ready: boolean }[]>`
    -- In two, each by an index of its own: with a key, and without.
    select exists (select from tasks where status = 'approved' and concurrency_key is null and ready_at <= now())
      or exists (select from tasks where status = 'approved' and concurrency_key is not null and ready_at <= now()) as ready
  `;
  return row?.ready === true;
}
