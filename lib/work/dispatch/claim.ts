import type { Db } from "../../runtime/postgres/db.ts";
import type { Claimed } from "../core/messages.ts";
import type { WorkSettings } from "../core/schema.ts";

/** Work that one transaction claims at most, by number and by the size of its messages: what a function holds in memory. */
const CLAIM_LIMIT = 100;
const CLAIM_BYTES = 8_000_000;

/** Work that was just started. */
export type Ready = Claimed & { messageBytes: number };

/** What one claim brought. `more`: others may be ready; `freeAt`: when a rate limit lets the next one go, if one holds work back. */
export type Claim = { tasks: Ready[]; more: boolean; freeAt: Date | null };

/** Claims what is ready, best first, within all limits. Call it in a transaction: until its commit nobody else claims. */
export async function claim(db: Db, settings: WorkSettings, queues: readonly string[]): Promise<Claim> {
  // Sent together, run one after the other: fewer round trips while the lock is held.
  const [, rows, freeAt] = await Promise.all([takeTurn(db), claimReady(db, settings, queues), rateFreeAt(db)]);
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

/** The limits of all agents, by their latest definition: one that is deactivated still gets the work that it was given. */
const limits = (db: Db) => db`
  select distinct on (agent_name) agent_name, queue_url,
    (parsed_metadata #>> '{limits,concurrency}')::int as at_once,
    coalesce((parsed_metadata #>> '{limits,per_key}')::int, 1) as per_key,
    (parsed_metadata #>> '{limits,rate,count}')::int as rate_count,
    make_interval(secs => (parsed_metadata #>> '{limits,rate,per_seconds}')::float8) as rate_window
  from agent_definitions
  order by agent_name, active desc, updated_at desc
`;

/** The first of an agent's waiting work, so ordered that its index answers: exists() has the planner read all that waits. */
const first = (db: Db) => db`(
  select task_id from tasks where status = 'approved' and concurrency_key is null and to_agent = agent_name
  order by priority desc, task_id limit 1
)`;
const firstKeyed = (db: Db) => db`(
  select task_id from tasks where status = 'approved' and concurrency_key is not null and to_agent = agent_name
  order by concurrency_key, priority desc, task_id limit 1
)`;

/**
 * Starts the next attempt of approved work whose time has come: priority first, then age, each agent up to its free places, each key
 * up to its own, each rate up to what is left of its window. Work with a key is looked through key by key, so that what waits
 * behind a full one holds up nothing. The lease is how long the request may wait until its agent speaks.
 */
async function claimReady(
  db: Db,
  settings: WorkSettings,
  queues: readonly string[],
): Promise<(Ready & { priority: number; chosen: number })[]> {
  // Written out, so that the planner knows how few they are: otherwise it reads all that waits.
  const most = db.unsafe(String(CLAIM_LIMIT));
  // An array whose length the planner does not look at: so it keeps one plan, where planning anew takes longer than running.
  const named = db`array(select unnest(${queues as string[]}::text[]))`;
  return await db`
    with recursive agent as materialized (
      select agent_name, per_key, rate_count, rate_window, least(
        coalesce(at_once, ${settings.AGENT_IN_FLIGHT})
          - (select count(*) from tasks where status = 'executing' and to_agent = agent_name),
        rate_count - (
          select count(*) from agent_rate as rate, unnest(recent) as start (at)
          where rate.agent_name = limits.agent_name and at > clock_timestamp() - rate_window
        ),
        ${CLAIM_LIMIT}
      ) as free
      from (
        (${limits(db)})
        union all
        -- an agent that got its work before there was a registry
        select name, null, null, 1, null, null from unnest(${named}) as name
        where not exists (select from agent_definitions where agent_name = name)
      ) as limits
      where (queue_url is not null or agent_name = any(${named}))
        and (
          ${first(db)} is not null or ${firstKeyed(db)} is not null
        )
    ), busy as materialized (
      select to_agent as agent_name, concurrency_key, count(*) from tasks
      where status = 'executing' and concurrency_key is not null
      group by to_agent, concurrency_key
    ), key as (
      select agent_name, first.concurrency_key from agent cross join lateral (
        select concurrency_key from tasks
        where status = 'approved' and to_agent = agent_name and concurrency_key is not null and free > 0
        order by concurrency_key limit 1
      ) as first
      union all
      select agent_name, next.concurrency_key from key cross join lateral (
        select concurrency_key from tasks
        where status = 'approved' and to_agent = agent_name and concurrency_key > key.concurrency_key
        order by concurrency_key limit 1
      ) as next
    ), ready as materialized (
      select agent_name, best.* from agent cross join lateral (
        select * from (
          select task_id, priority, message_bytes from tasks
          where status = 'approved' and to_agent = agent_name and concurrency_key is null and ready_at <= now()
          order by priority desc, task_id limit ${most}
        ) as first
        limit greatest(0, free)
      ) as best
      union all
      select agent_name, best.* from key join agent using (agent_name) left join busy using (agent_name, concurrency_key)
      cross join lateral (
        select * from (
          select task_id, priority, message_bytes from tasks
          where status = 'approved' and to_agent = agent_name and tasks.concurrency_key = key.concurrency_key
            and ready_at <= now()
          order by priority desc, task_id limit ${most}
        ) as first
        limit greatest(0, least(free, per_key - coalesce(busy.count, 0)))
      ) as best
    ), next as materialized (
      select task_id from (
        select task_id, row_number() over best as place, sum(message_bytes) over best - message_bytes as bytes_before
        from (
          select ready.*, row_number() over (partition by agent_name order by priority desc, task_id) as own_place from ready
        ) as ready join agent using (agent_name)
        where own_place <= free
        window best as (order by priority desc, task_id)
      ) as ranked
      where place <= ${CLAIM_LIMIT} and bytes_before < ${CLAIM_BYTES}
    ), held as materialized (
      select task_id from tasks
      where task_id in (select task_id from next) and status = 'approved'
      limit ${most}
      for no key update skip locked
    ), started as (
      update tasks set
        status = 'executing', attempt = attempt + 1, attempts_used = attempts_used + 1, ready_at = null,
        dispatched_at = now(), started_at = null, progress = null,
        lease_until = now() + make_interval(secs => ${settings.PICKUP_SECONDS}),
        deadline = now() + make_interval(secs => ${settings.PICKUP_SECONDS} + timeout_seconds + ${settings.LEASE_SECONDS})
      from held
      where tasks.task_id = held.task_id
      returning tasks.task_id, trace_id, run_id, to_agent, attempt, work_type, request_text, parameters, hints,
        handover - 'capabilities' as handover, timeout_seconds, priority, tasks.message_bytes
    ), counted as (
      insert into agent_rate as rate (agent_name, recent)
      select agent_name, array_fill(clock_timestamp(), array[count(*)::int])
      from started join agent on agent_name = to_agent
      where rate_count is not null
      group by agent_name
      on conflict on constraint agent_rate_pkey do update set recent = (
        select array(select at from unnest(rate.recent) as start (at) where at > clock_timestamp() - rate_window)
        from agent where agent.agent_name = rate.agent_name
      ) || excluded.recent
    )
    select started.*, (select count(*)::int from next) as chosen from started
  `;
}

/** When the next start is possible of an agent whose rate holds ready work back. Where no agent has a rate it reads nothing. */
async function rateFreeAt(db: Db): Promise<Date | null> {
  const [row] = await db<{ freeAt: Date | null }[]>`
    select min(latest.at + rate_window) as free_at
    from agent_rate cross join lateral (
      select (parsed_metadata #>> '{limits,rate,count}')::int as rate_count,
        make_interval(secs => (parsed_metadata #>> '{limits,rate,per_seconds}')::float8) as rate_window
      from agent_definitions as definition
      where definition.agent_name = agent_rate.agent_name
      order by active desc, updated_at desc limit 1
    ) as limits cross join lateral (
      select at from unnest(recent) as start (at)
      where at > clock_timestamp() - rate_window
      order by at desc offset greatest(0, rate_count - 1) limit 1
    ) as latest
    where ${first(db)} is not null or ${firstKeyed(db)} is not null
  `;
  return row?.freeAt ?? null;
}
