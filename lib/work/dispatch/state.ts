import { type Actor, DEFAULT_TEAM } from "../../access/actor.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import { stillApart } from "../core/apart.ts";

/** How the work of a deployment stands, counted in the database; ages in seconds, 0 where there is nothing. */
export type WorkState = {
  /** Work that nothing is done about: its agent has no queue or refuses it, nobody has taken it for a minute, or the database refuses to start it. */
  heldUp: number;
  /** Approved work whose time has come, and how long the oldest has waited. */
  waiting: number;
  oldestWaitingSeconds: number;
  /** How long the oldest request has been out that no process has taken. */
  oldestUntakenSeconds: number;
  /** Work for which there is no agent. */
  undecided: number;
  /** Messages that their queues refuse. */
  undeliverable: number;
  /** Work that is being stopped. */
  cancelling: number;
};

/** How the work stands now; `queues` are the agents whose queue the environment names. */
export async function workState(db: Db, _actor: Actor, queues: readonly string[]): Promise<WorkState> {
  const [row] = await db<WorkState[]>`
    with ready as (
      -- In two, each by an index of its own: with a key, and without.
      select team_id, task_id, to_agent, ready_at from tasks
      where status = 'approved' and concurrency_key is null and ready_at <= now()
      union all
      select team_id, task_id, to_agent, ready_at from tasks
      where status = 'approved' and concurrency_key is not null and ready_at <= now()
    ), without_queue as (
      select team_id, to_agent from (select distinct team_id, to_agent from ready) as waiting_for
      where (team_id <> ${DEFAULT_TEAM} or to_agent <> all(${queues as string[]}::text[])) and not exists (
        select from agent_definitions as known
        where known.team_id = waiting_for.team_id and agent_name = to_agent and queue_url is not null
      )
    ), untaken as (
      select task_id, coalesce(asked_at, requested_at) as asked, requested_at from task_attempts
      where how is null and taken_at is null
    )
    select
      (select count(*)::int from (
        select task_id from ready where (team_id, to_agent) in (select team_id, to_agent from without_queue)
        union
        select task_id from untaken where requested_at < now() - interval '1 minute'
          or task_id in (select task_id from outbox where refusals > 0)
        union
        select task_id from dispatch_refusals join tasks using (task_id) where ${stillApart(db)}
      ) as held) as held_up,
      (select count(*)::int from ready) as waiting,
      coalesce((select extract(epoch from now() - min(ready_at))::float8 from ready), 0) as oldest_waiting_seconds,
      coalesce((select extract(epoch from now() - min(requested_at))::float8 from untaken), 0) as oldest_untaken_seconds,
      (select count(*)::int from tasks where status = 'pending' and to_agent is null) as undecided,
      (select count(*)::int from outbox where refusals > 0) as undeliverable,
      (select count(*)::int from tasks where status = 'executing' and stopping is not null) as cancelling
  `;
  if (row === undefined) throw new Error("the database does not count");
  return row;
}
