import type { Db, Pool } from "../runtime/db.ts";
import { type Claimed, type Stamp, workRequest } from "./messages.ts";
import { deliver, insertOutbox, type Outgoing, type Send } from "./outbox.ts";
import type { WorkSettings } from "./schema.ts";

/** Work that one transaction claims at most, by number and by the size of its messages: what a function holds in memory. */
const CLAIM_LIMIT = 100;
const CLAIM_BYTES = 8_000_000;

/**
 * Claims what is ready for these agents, best first, and sends it, until nothing more is ready or no agent has room. Answers how
 * many attempts it started. What could not be sent stays in the outbox for the sweep.
 */
export async function dispatch(
  pool: Pool,
  settings: WorkSettings,
  agents: readonly string[],
  send: Send,
  stamp: Stamp,
): Promise<number> {
  let started = 0;
  for (;;) {
    const { outgoing, more } = await claim(pool, settings, agents, stamp);
    await deliver(pool, outgoing, send);
    started += outgoing.length;
    if (!more) return started;
  }
}

async function claim(
  pool: Pool,
  settings: WorkSettings,
  agents: readonly string[],
  stamp: Stamp,
): Promise<{ outgoing: Outgoing[]; more: boolean }> {
  return await pool.begin(async (db) => {
    // Sent together, run one after the other: one round trip less while the lock is held.
    const [, tasks] = await Promise.all([takeTurn(db), claimReady(db, settings, agents)]);
    const outgoing = tasks.map((task) => ({
      ...workRequest(task, settings.LEASE_SECONDS, stamp),
      toAgent: task.toAgent,
      taskId: task.taskId,
      attempt: task.attempt,
    }));
    await insertOutbox(db, outgoing);
    const bytes = tasks.reduce((sum, task) => sum + task.messageBytes, 0);
    return { outgoing, more: outgoing.length >= CLAIM_LIMIT || bytes >= CLAIM_BYTES };
  });
}

const DISPATCH_LOCK = 4_801_517_001;

/** One dispatcher claims at a time, so that what an agent has at once is counted truly. Held until the commit. */
async function takeTurn(db: Db): Promise<void> {
  await db`select pg_advisory_xact_lock(${DISPATCH_LOCK})`;
}

/**
 * Starts the next attempt of approved work whose time has come: priority first, then age, each agent up to its free places.
 * Answers what it started, best first. The lease is how long the request may wait until its agent speaks.
 */
async function claimReady(
  db: Db,
  settings: WorkSettings,
  agents: readonly string[],
): Promise<(Claimed & { messageBytes: number })[]> {
  const claimed = await db<(Claimed & { priority: number; messageBytes: number })[]>`
    with agent as materialized (
      select name, ${settings.AGENT_IN_FLIGHT} - (
        select count(*) from tasks where status = 'executing' and to_agent = name
      ) as free
      from unnest(${agents as string[]}::text[]) as name
    ), ready as materialized (
      select best.task_id, best.priority, best.message_bytes
      from agent cross join lateral (
        select task_id, priority, message_bytes from tasks
        where status = 'approved' and to_agent = agent.name and ready_at <= now()
        order by priority desc, task_id
        limit greatest(0, least(agent.free, ${CLAIM_LIMIT}))
        for no key update skip locked
      ) as best
    ), next as materialized (
      select task_id from (
        select task_id, row_number() over best as place, sum(message_bytes) over best - message_bytes as bytes_before
        from ready window best as (order by priority desc, task_id)
      ) as ranked
      where place <= ${CLAIM_LIMIT} and bytes_before < ${CLAIM_BYTES}
    )
    update tasks set
      status = 'executing', attempt = attempt + 1, attempts_used = attempts_used + 1, ready_at = null,
      dispatched_at = now(), started_at = null, progress = null,
      lease_until = now() + make_interval(secs => ${settings.PICKUP_SECONDS}),
      deadline = now() + make_interval(secs => ${settings.PICKUP_SECONDS} + timeout_seconds + ${settings.LEASE_SECONDS})
    from next
    where tasks.task_id = next.task_id and tasks.status = 'approved'
    returning tasks.task_id, trace_id, run_id, to_agent, attempt, work_type, request_text, parameters, hints,
      timeout_seconds, priority, tasks.message_bytes
  `;
  return claimed.toSorted((a, b) => b.priority - a.priority || (a.taskId < b.taskId ? -1 : 1));
}
