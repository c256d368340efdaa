import { type AgentOfTeam, agentKey } from "../access/agent-of-team.ts";
import type { Db } from "../runtime/postgres/db.ts";

/** Keeps that a message of each of these agents has come in. Throws where the database does not answer. */
export type KeepHeard = (db: Db, agents: readonly AgentOfTeam[]) => Promise<void>;

/** A sign of life is written once in so many of the times after which an agent counts as silent. */
const OFTEN = 10;

/**
 * Keeps signs of life of agents by what they say over their queue, at most every tenth of `silentSeconds` an agent (0: not at all), so
 * that a busy one costs no statement a message. `now` in epoch milliseconds.
 */
export function keepHeard(silentSeconds: number, now: () => number): KeepHeard {
  const seconds = silentSeconds / OFTEN;
  const kept = new Map<string, number>();
  return async (db, agents) => {
    const since = now() - seconds * 1000;
    const all = new Map(agents.map((speaker) => [agentKey(speaker), speaker]));
    const due = [...all].filter(([key]) => (kept.get(key) ?? Number.NEGATIVE_INFINITY) <= since);
    if (silentSeconds === 0 || due.length === 0) return;
    const speakers = due.map(([, speaker]) => speaker);
    await updatePresence(db, speakers, seconds);
    for (const [key] of due) kept.set(key, now());
  };
}

/** Only active agents, and only where the last sign is older than `seconds`; in the order of their names, so that two never lock in a ring. */
async function updatePresence(db: Db, agents: AgentOfTeam[], seconds: number): Promise<void> {
  await db`
    insert into agent_presence (team_id, agent_name, seen_at)
    select team_id, agent_name, now() from agent_definitions
    where active and (team_id, agent_name) in (select * from unnest(
      ${agents.map(({ teamId }) => teamId)}::uuid[], ${agents.map(({ agent }) => agent)}::text[]
    ))
    order by team_id, agent_name
    on conflict on constraint agent_presence_pkey do update set seen_at = excluded.seen_at
      where agent_presence.seen_at < excluded.seen_at - make_interval(secs => ${seconds})
  `;
}
