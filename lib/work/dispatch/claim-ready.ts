import { DEFAULT_TEAM } from "../../access/actor.ts";
import type { Db, Fragment } from "../../runtime/postgres/db.ts";
import { setApart } from "../core/apart.ts";
import type { Claimed } from "../core/messages.ts";
import type { LeaseSettings, WorkSettings } from "../settings.ts";
import { hashOfToken, requestColumns } from "./request-columns.ts";
import { firstKeyed, firstWaiting } from "./waiting.ts";

/** Work that one transaction claims at most, by number and by the size of its messages: what a function holds in memory. */
export const CLAIM_LIMIT = 100;
export const CLAIM_BYTES = 8_000_000;

/** The limit of agents whose definition has none, and the two times of a lease. */
export type ClaimSettings = LeaseSettings & Pick<WorkSettings, "agentInFlight">;

/** Work that was just started. */
export type Ready = Claimed & { messageBytes: number };

/** Work that may be started. */
export type Chosen = Pick<Claimed, "taskId" | "traceId">;

/** Work that was just started, in no order; `chosen`: how many were to be, of which some may have been locked by others. */
export type ClaimedRow = Ready & { priority: number; chosen: number };

/**
 * Starts the next attempt of approved work whose time has come: priority first, then age, each agent up to its free places, each key
 * up to its own, each rate up to what is left of its window. Work with a key is looked through key by key, so that what waits
 * behind a full one holds up nothing. The lease is how long the request may wait until its agent speaks. `queues` are the agents
 * of the default team whose queue the environment names; `only`: nothing but this piece of work. One statement; each part of it is a function below, in
 * its order.
 */
export async function claimReady(
  db: Db,
  settings: ClaimSettings,
  queues: readonly string[],
  only?: string,
): Promise<ClaimedRow[]> {
  return await db<ClaimedRow[]>`
    ${choose(db, settings, queues, only)},
    held as materialized (${lockThem(db)}),
    started as (${startThem(db, settings)}),
    kept as (${keepAttempts(db)}),
    counted as (${countStarts(db)})
    select started.*, (select count(*)::int from next) as chosen from started
  `;
}

/** What claimReady would start now, with its trace, best first. */
export async function chooseReady(db: Db, settings: ClaimSettings, queues: readonly string[]): Promise<Chosen[]> {
  return await db<Chosen[]>`
    ${choose(db, settings, queues)}
    select task_id, trace_id from tasks where task_id in (select task_id from next) order by priority desc, task_id
  `;
}

/** The parts that choose: `next` is what is to be started. */
const choose = (db: Db, settings: ClaimSettings, queues: readonly string[], only?: string): Fragment => db`
  with recursive agent as materialized (${freePlaces(db, settings, queues)}),
  busy as materialized (${keysAtWork(db)}),
  key as (${waitingKeys(db)}),
  ready as materialized (${bestOfEachAgent(db, only)}),
  next as materialized (${bestOfAll(db)})
`;

/** Written out, so that the planner knows how few they are: otherwise it reads all that waits. */
const most = (db: Db): Fragment => db.unsafe(String(CLAIM_LIMIT));

/** `agent`: who has a queue and waiting work, and how many more pieces it may start by its concurrency and its rate; 0 or less: none. */
function freePlaces(db: Db, settings: ClaimSettings, queues: readonly string[]): Fragment {
  // An array whose length the planner does not look at: so it keeps one plan, where planning anew takes longer than running.
  const named = db`array(select unnest(${queues as string[]}::text[]))`;
  return db`
    select team_id, agent_name, per_key, rate_count, rate_window, least(
      coalesce(at_once, ${settings.agentInFlight})
        - (select count(*) from tasks where status = 'executing' and tasks.team_id = limits.team_id and to_agent = agent_name),
      rate_count - (
        select count(*) from agent_rate as rate, unnest(recent) as start (at)
        where rate.team_id = limits.team_id and rate.agent_name = limits.agent_name and at > clock_timestamp() - rate_window
      ),
      ${CLAIM_LIMIT}
    ) as free
    from (
      (${limits(db)})
      union all
      -- an agent that got its work before there was a registry
      select ${DEFAULT_TEAM}::uuid, name, null, null, 1, null, null from unnest(${named}) as name
      where not exists (select from agent_definitions where team_id = ${DEFAULT_TEAM} and agent_name = name)
    ) as limits
    where (queue_url is not null or (team_id = ${DEFAULT_TEAM} and agent_name = any(${named})))
      and (
        ${firstWaiting(db, db`limits.team_id`)} is not null or ${firstKeyed(db, db`limits.team_id`)} is not null
      )
  `;
}

/** The limits of all agents, by their latest definition: one that is deactivated still gets the work that it was given. */
const limits = (db: Db): Fragment => db`
  select distinct on (team_id, agent_name) team_id, agent_name, queue_url,
    (parsed_metadata #>> '{limits,concurrency}')::int as at_once,
    coalesce((parsed_metadata #>> '{limits,per_key}')::int, 1) as per_key,
    (parsed_metadata #>> '{limits,rate,count}')::int as rate_count,
    make_interval(secs => (parsed_metadata #>> '{limits,rate,per_seconds}')::float8) as rate_window
  from agent_definitions
  order by team_id, agent_name, active desc, updated_at desc
`;

/** `busy`: how many pieces of work with each key an agent has. */
const keysAtWork = (db: Db): Fragment => db`
  select team_id, to_agent as agent_name, concurrency_key, count(*) from tasks
  where status = 'executing' and concurrency_key is not null
  group by team_id, to_agent, concurrency_key
`;

/** `key`: the keys of the work that waits for agents with a free place, found one after the other by their index. */
const waitingKeys = (db: Db): Fragment => db`
  select agent.team_id, agent_name, first.concurrency_key from agent cross join lateral (
    select concurrency_key from tasks
    where status = 'approved' and team_id = agent.team_id and to_agent = agent_name and concurrency_key is not null and free > 0
    order by concurrency_key limit 1
  ) as first
  union all
  select key.team_id, agent_name, next.concurrency_key from key cross join lateral (
    select concurrency_key from tasks
    where status = 'approved' and team_id = key.team_id and to_agent = agent_name and concurrency_key > key.concurrency_key
    order by concurrency_key limit 1
  ) as next
`;

/** `ready`: the best ready work of each agent without a key, and of each of its keys, up to their free places. */
const bestOfEachAgent = (db: Db, only?: string): Fragment => db`
  select agent.team_id, agent_name, best.* from agent cross join lateral (
    select * from (
      select task_id, priority, message_bytes from tasks
      where status = 'approved' and team_id = agent.team_id and to_agent = agent_name and concurrency_key is null and ready_at <= now()
        and ${isWanted(db, only)}
      order by priority desc, task_id limit ${most(db)}
    ) as first
    limit greatest(0, free)
  ) as best
  union all
  select key.team_id, agent_name, best.* from key join agent using (team_id, agent_name)
  left join busy using (team_id, agent_name, concurrency_key)
  cross join lateral (
    select * from (
      select task_id, priority, message_bytes from tasks
      where status = 'approved' and team_id = key.team_id and to_agent = agent_name and tasks.concurrency_key = key.concurrency_key
        and ready_at <= now() and ${isWanted(db, only)}
      order by priority desc, task_id limit ${most(db)}
    ) as first
    limit greatest(0, least(free, per_key - coalesce(busy.count, 0)))
  ) as best
`;

/** Not set apart, which is asked once for all. */
const isWanted = (db: Db, only?: string): Fragment => db`
  task_id <> all(array(${setApart(db)})) ${only === undefined ? db`` : db`and task_id = ${only}`}
`;

/** `next`: of these the best, each agent up to its free places, together up to what one transaction claims. */
const bestOfAll = (db: Db): Fragment => db`
  select task_id from (
    select task_id, row_number() over best as place, sum(message_bytes) over best - message_bytes as bytes_before
    from (
      select ready.*, row_number() over (partition by team_id, agent_name order by priority desc, task_id) as own_place from ready
    ) as ready join agent using (team_id, agent_name)
    where own_place <= free
    window best as (order by priority desc, task_id)
  ) as ranked
  where place <= ${CLAIM_LIMIT} and bytes_before < ${CLAIM_BYTES}
`;

/** `held`: of these those that nobody else has locked. */
const lockThem = (db: Db): Fragment => db`
  select task_id from tasks
  where task_id in (select task_id from next) and status = 'approved'
  limit ${most(db)}
  for no key update skip locked
`;

/** `started`: their next attempts begin, each with a lease and a deadline. */
const startThem = (db: Db, { pickupSeconds, leaseSeconds }: ClaimSettings): Fragment => db`
  update tasks set
    status = 'executing', attempt = attempt + 1, attempts_used = attempts_used + 1, ready_at = null,
    dispatched_at = now(), started_at = null, progress = null,
    lease_until = now() + make_interval(secs => ${pickupSeconds}),
    deadline = now() + make_interval(secs => ${pickupSeconds} + timeout_seconds + ${leaseSeconds})
  from held
  where tasks.task_id = held.task_id
  returning ${requestColumns(db)}, lease_until, priority, tasks.message_bytes
`;

/** `kept`: the attempts that so begin; nobody has them yet. */
const keepAttempts = (db: Db): Fragment => db`
  insert into task_attempts (task_id, team_id, attempt, agent, run_id, counted, requests, requested_at, lease_until, lease_tokens)
  select task_id, team_id, attempt, to_agent, run_id, true, 1, now(), lease_until, array[${hashOfToken(db, db`lease_token`)}] from started
`;

/** `counted`: the starts of agents with a rate are noted; those that have left its window are forgotten. */
const countStarts = (db: Db): Fragment => db`
  insert into agent_rate as rate (team_id, agent_name, recent)
  select agent.team_id, agent_name, array_fill(clock_timestamp(), array[count(*)::int])
  from started join agent on agent.team_id = started.team_id and agent_name = to_agent
  where rate_count is not null
  group by agent.team_id, agent_name
  on conflict on constraint agent_rate_pkey do update set recent = (
    select array(select at from unnest(rate.recent) as start (at) where at > clock_timestamp() - rate_window)
    from agent where agent.team_id = rate.team_id and agent.agent_name = rate.agent_name
  ) || excluded.recent
`;
