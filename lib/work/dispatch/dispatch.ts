import type { Actor } from "../../access/actor.ts";
import type { Db, Pool } from "../../runtime/postgres/db.ts";
import { type Claimed, type Stamp, workRequest } from "../core/messages.ts";
import { deliver, insertOutbox, type Outgoing, type Send } from "../core/outbox.ts";
import { claim } from "./claim.ts";
import type { ClaimSettings, Ready } from "./claim-ready.ts";

/** An attempt that a dispatcher has started. */
export type Started = Pick<Claimed, "taskId" | "traceId" | "attempt" | "toAgent">;

/** What a dispatcher did, and when to look again because a rate limit holds work back. */
export type Dispatched = { started: Started[]; freeAt: Date | null };

/**
 * Claims what is ready, best first, and sends it, until nothing more is ready or no agent has room. `queues` are the agents whose
 * queue the environment names; others have theirs in the registry. What could not be sent stays in the outbox for the sweep.
 * Answers the attempts in the order in which they began.
 */
export async function dispatch(
  pool: Pool,
  _actor: Actor,
  settings: ClaimSettings,
  queues: readonly string[],
  send: Send,
  stamp: Stamp,
): Promise<Dispatched> {
  const started: Started[] = [];
  for (;;) {
    const { tasks, outgoing, more, freeAt } = await pool.begin(async (db) => {
      const claimed = await claim(db, settings, queues);
      return { ...claimed, outgoing: await request(db, settings, claimed.tasks, stamp) };
    });
    await deliver(pool, outgoing, send);
    started.push(...tasks.map(({ taskId, traceId, attempt, toAgent }) => ({ taskId, traceId, attempt, toAgent })));
    if (!more) return { started, freeAt };
  }
}

/** Writes the requests for work that was claimed. */
async function request(db: Db, settings: ClaimSettings, tasks: Ready[], stamp: Stamp): Promise<Outgoing[]> {
  const outgoing: Outgoing[] = [];
  for (const task of tasks) {
    const { taskId, toAgent, attempt } = task;
    try {
      outgoing.push({ ...workRequest(task, settings.leaseSeconds, stamp), toAgent, taskId, attempt });
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
