import type { Db, Pool } from "../runtime/db.ts";
import { type Claimed, type Stamp, workRequest } from "./messages.ts";
import { deliver, insertOutbox, type Outgoing, type Send } from "./outbox.ts";
import type { WorkSettings } from "./schema.ts";

/** Work that one transaction claims at most, by number and by the size of its messages: what a function holds in memory. */
const CLAIM_LIMIT = 100;
const CLAIM_BYTES = 8_000_000;

/** An attempt that a dispatcher has started. */
export type Started = Pick<Claimed, "taskId" | "traceId" | "attempt" | "toAgent">;

/**
 * Claims what is ready for these agents, best first, and sends it, until nothing more is ready or no agent has room. Answers the
 * attempts that it started. What could not be sent stays in the outbox for the sweep.
 */
export async function dispatch(
  pool: Pool,
  settings: WorkSettings,
  agents: readonly string[],
  send: Send,
  stamp: Stamp,
): Promise<Started[]> {
  const started: Started[] = [];
  for (;;) {
    const { tasks, outgoing } = await pool.begin((db) => claim(db, settings, agents, stamp));
    await deliver(pool, outgoing, send);
    started.push(...tasks.map(({ taskId, traceId, attempt, toAgent }) => ({ taskId, traceId, attempt, toAgent })));
    const bytes = tasks.reduce((sum, task) => sum + task.messageBytes, 0);
    if (tasks.length < CLAIM_LIMIT && bytes < CLAIM_BYTES) return started;
  }
}

type Ready = Claimed & { messageBytes: number };

async function claim(
  db: Db,
  settings: WorkSettings,
  agents: readonly string[],
  stamp: Stamp,
): Promise<{ tasks: Ready[]; outgoing: Outgoing[] }> {
  // Sent together, run one after the other: one round trip less while the lock is held.
  const [, tasks] = await Promise.all([takeTurn(db), claimReady(db, settings, agents)]);
  const outgoing: Outgoing[] = [];
  for (const task of tasks) {
    const { taskId, toAgent, attempt } = task;
    try {
      outgoing.push({ ...workRequest(task, settings.LEASE_SECONDS, stamp), toAgent, taskId, attempt });
    } catch (error) {
      // A row that no message can be made of would otherwise come first again and again, and hold up all work behind it.
      await failUnsendable(db, taskId, (error as Error).message);
    }
  }
  await insertOutbox(db, outgoing);
  return { tasks, outgoing };
}

async function failUnsendable(db: Db, taskId: string, reason: string): Promise<void> {
  await db`
    update tasks set status = 'failed', error_message = ${`no request can be made of this work: ${reason}`},
      completed_at = now(), lease_until = null, deadline = null
    where task_id = ${taskId} and status = 'executing'
  `;
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
async function claimReady(db: Db, settings: WorkSettings, agents: readonly string[]): Promise<Ready[]> {
  const claimed = await db<(Ready & { priority: number })[]>`
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
