import type { Actor } from "../../access/actor.ts";
import type { AgentOfTeam } from "../../access/agent-of-team.ts";
import type { Db, Fragment } from "../../runtime/postgres/db.ts";

/** Of these agents, those whose queue has nothing for them, and of which nothing is on its way to us. */
export type NobodyHas = (agents: readonly AgentOfTeam[]) => Promise<AgentOfTeam[]>;

/** Agents that one call asks about; those of the others it may ask about the next time. */
const MOST_AGENTS = 50;

/**
 * Has requests that their queues have lost asked for again by the next expireLeases, rather than when their lease is over: those that no
 * process has taken for a minute, for two where they were asked for twice, then four and so on, where nobody can have them. Answers how many.
 */
export async function endLostRequests(db: Db, _actor: Actor, nobodyHas: NobodyHas): Promise<number> {
  const untaken = await db<AgentOfTeam[]>`
    select team_id, agent from (select distinct team_id, agent from task_attempts where ${isUntaken(db)}) as asked
    order by random() limit ${MOST_AGENTS}
  `;
  const agents = untaken.length === 0 ? [] : await nobodyHas(untaken);
  if (agents.length === 0) return 0;
  const { count } = await db`
    update task_attempts set lease_until = now() where ${isUntaken(db)} and (team_id, agent) in (
      select * from unnest(
        ${agents.map(({ teamId }) => teamId)}::uuid[], ${agents.map(({ agent }) => agent)}::text[]
      )
    )
  `;
  return count;
}

/** Sent a while ago, and still nobody's: what lies in the outbox was never sent. */
const isUntaken = (db: Db): Fragment => db`
  how is null and taken_at is null and lease_until > now()
    and coalesce(asked_at, requested_at) < now() - make_interval(secs => 60 * 2.0 ^ least(requests - 1, 6))
    and not exists (
      select from outbox where outbox.task_id = task_attempts.task_id and outbox.attempt = task_attempts.attempt
    )
`;
