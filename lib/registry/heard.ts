import type { Db } from "../runtime/postgres/db.ts";

/** Keeps that a message of each of these agents has come in. Throws where the database does not answer. */
export type KeepHeard = (db: Db, agents: Iterable<string>) => Promise<void>;

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
    const due = [...new Set(agents)].filter((agent) => (kept.get(agent) ?? Number.NEGATIVE_INFINITY) <= since);
    if (silentSeconds === 0 || due.length === 0) return;
    await updatePresence(db, due, seconds);
    for (const agent of due) kept.set(agent, now());
  };
}

/** Only active agents, and only where the last sign is older than `seconds`; in the order of their names, so that two never lock in a ring. */
async function updatePresence(db: Db, agents: string[], seconds: number): Promise<void> {
  await db`
    insert into agent_presence (agent_name, seen_at)
    select agent_name, now() from agent_definitions where active and agent_name = any(${agents}::text[])
    order by agent_name
    on conflict on constraint agent_presence_pkey do update set seen_at = excluded.seen_at
      where agent_presence.seen_at < excluded.seen_at - make_interval(secs => ${seconds})
  `;
}
