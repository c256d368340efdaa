import type { Db } from "../../runtime/postgres/db.ts";
import { CLAIM_BYTES, CLAIM_LIMIT, type ClaimSettings, claimReady, type Ready } from "./claim-ready.ts";
import { firstKeyed, firstWaiting } from "./waiting.ts";

/** What one claim brought, best first. `more`: others may be ready; `freeAt`: when a rate limit lets the next one go, null where none holds work back. */
export type Claim = { tasks: Ready[]; more: boolean; freeAt: Date | null };

/**
 * Claims what is ready, best first, within all limits; `only`: nothing but this piece of work. Call it in a transaction: until its
 * commit nobody else claims.
 */
export async function claim(db: Db, settings: ClaimSettings, queues: readonly string[], only?: string): Promise<Claim> {
  // Sent together, run one after the other: fewer round trips while the lock is held.
  const [, rows, freeAt] = await Promise.all([takeTurn(db), claimReady(db, settings, queues, only), rateFreeAt(db)]);
  const tasks = rows.toSorted((a, b) => b.priority - a.priority || (a.taskId < b.taskId ? -1 : 1));
  const bytes = tasks.reduce((sum, task) => sum + task.messageBytes, 0);
  // Fewer than were chosen: somebody held a row for a moment, and its place is still free.
  const skipped = tasks.length < (tasks[0]?.chosen ?? 0);
  return { tasks, more: tasks.length >= CLAIM_LIMIT || bytes >= CLAIM_BYTES || skipped, freeAt };
}

const DISPATCH_LOCK = 4_801_517_001;

/** One dispatcher claims at a time, so that what an agent has at once is counted truly. Held until the commit. */
async function takeTurn(db: Db): Promise<void> {
  await db`select pg_advisory_xact_lock(${DISPATCH_LOCK})`;
}

/** When the next start is possible of an agent whose rate holds ready work back. Where no agent has a rate it reads nothing. */
async function rateFreeAt(db: Db): Promise<Date | null> {
  const [row] = await db<{ freeAt: Date | null }[]>`
    select min(latest.at + rate_window) as free_at
    from agent_rate cross join lateral (
      select (parsed_metadata #>> '{limits,rate,count}')::int as rate_count,
        make_interval(secs => (parsed_metadata #>> '{limits,rate,per_seconds}')::float8) as rate_window
      from agent_definitions as definition
      where definition.team_id = agent_rate.team_id and definition.agent_name = agent_rate.agent_name
      order by active desc, updated_at desc limit 1
    ) as limits cross join lateral (
      select at from unnest(recent) as start (at)
      where at > clock_timestamp() - rate_window
      order by at desc offset greatest(0, rate_count - 1) limit 1
    ) as latest
    where ${firstWaiting(db, db`agent_rate.team_id`)} is not null or ${firstKeyed(db, db`agent_rate.team_id`)} is not null
  `;
  return row?.freeAt ?? null;
}
