import type { Actor } from "../../access/actor.ts";
import type { Db, Pool } from "../../runtime/postgres/db.ts";
import { keepApart, refusalOf } from "../core/apart.ts";
import { type Claimed, type Seal, workRequest } from "../core/messages.ts";
import { deliver, insertOutbox, type Outgoing, type Send } from "../core/outbox.ts";
import { isRefused } from "../core/spoilt.ts";
import { type Claim, claim } from "./claim.ts";
import { type Chosen, type ClaimSettings, chooseReady, type Ready } from "./claim-ready.ts";

/** An attempt that a dispatcher has started. */
export type Started = Pick<Claimed, "taskId" | "traceId" | "attempt" | "toAgent">;

/** Work that could not be started, why, and what to do. */
export type Apart = Chosen & { reason: string };

/** What a dispatcher did, what it set apart, and when to look again because a rate limit holds work back. */
export type Dispatched = { started: Started[]; apart: Apart[]; freeAt: Date | null };

/** Who is told of each attempt as it is started, and of each work as it is set apart: also of those before a dispatch that fails. */
export type Tell = { started: (attempt: Started) => void; apart: (work: Apart) => void };
const NOBODY: Tell = { started: () => {}, apart: () => {} };

/**
 * Claims what is ready, best first, and sends it, until nothing more is ready or no agent has room. `queues` are the agents whose
 * queue the environment names; others have theirs in the registry. What could not be sent stays in the outbox for the sweep.
 * What the database refuses to start is set apart for a while, longer each time, and the others go on.
 * Answers the attempts in the order in which they began.
 */
export async function dispatch(
  pool: Pool,
  _actor: Actor,
  settings: ClaimSettings,
  queues: readonly string[],
  send: Send,
  seal: Seal,
  tell: Tell = NOBODY,
): Promise<Dispatched> {
  const started: Started[] = [];
  const apart: Apart[] = [];
  const isApart = (work: Apart) => {
    apart.push(work);
    tell.apart(work);
  };
  const start = async (only?: string): Promise<Claim> => {
    const { outgoing, ...claimed } = await pool.begin(async (db) => {
      const some = await claim(db, settings, queues, only);
      return { ...some, outgoing: await request(db, settings, some.tasks, seal) };
    });
    for (const { taskId, traceId, attempt, toAgent } of claimed.tasks) {
      const one = { taskId, traceId, attempt, toAgent };
      started.push(one);
      tell.started(one);
    }
    await deliver(pool, outgoing, send);
    return claimed;
  };
  for (;;) {
    const before = started.length + apart.length;
    try {
      const { more, freeAt } = await start();
      if (!more) return { started, apart, freeAt };
    } catch (error) {
      if (!isRefused(error)) throw error;
      await oneByOne(pool, await chooseReady(pool, settings, queues), start, isApart);
      // It is no work that spoils it: nothing would be otherwise the next time.
      if (started.length + apart.length === before) throw error;
    }
  }
}

/** Starts each by itself, and tells `isApart` of those that the database refuses, once they are set apart. */
async function oneByOne(
  pool: Pool,
  chosen: Chosen[],
  start: (only: string) => Promise<unknown>,
  isApart: Tell["apart"],
): Promise<void> {
  for (const one of chosen) {
    try {
      await start(one.taskId);
    } catch (error) {
      if (!isRefused(error)) throw error;
      const reason = refusalOf(one.taskId, error);
      await keepApart(pool, one.taskId, reason);
      isApart({ ...one, reason });
    }
  }
}

/** Writes the requests for work that was claimed. */
async function request(db: Db, settings: ClaimSettings, tasks: Ready[], seal: Seal): Promise<Outgoing[]> {
  const outgoing: Outgoing[] = [];
  for (const task of tasks) {
    const { teamId, taskId, toAgent, attempt } = task;
    try {
      outgoing.push({ ...workRequest(task, settings.leaseSeconds, seal), teamId, toAgent, taskId, attempt });
    } catch (error) {
      // A row that no message can be made of would otherwise come first again and again, and hold up all work behind it.
      await failUnsendable(db, taskId, (error as Error).message);
    }
  }
  await insertOutbox(db, outgoing);
  return outgoing;
}

async function failUnsendable(db: Db, taskId: string, reason: string): Promise<void> {
  await db`
    with attempts as (
      update task_attempts set how = 'withdrawn', ended_at = now(), reason = ${reason} where task_id = ${taskId} and how is null
    )
    update tasks set status = 'failed', error_message = ${`no request can be made of this work: ${reason}`},
      completed_at = now(), lease_until = null, deadline = null
    where task_id = ${taskId} and status = 'executing'
  `;
}
