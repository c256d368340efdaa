import type { Db, Fragment } from "../../runtime/postgres/db.ts";

/**
 * Why an agent cannot take work: it has no queue, nothing was ever heard of a process of it, it is silent, or it is at its limit of work
 * at once or of starts in a time.
 */
export type Obstacle = "no_queue" | "unheard" | "silent" | "busy" | "rate";

/** How an agent is at this moment; what its definition does not say is null. */
export type State = {
  agent: string;
  obstacle: Obstacle | null;
  silent_since: string | null;
  at_once: number;
  executing: number;
  rate_count: number | null;
  rate_seconds: number | null;
  recent: number;
};

/** The registry's revision, and how agents were at one moment. */
export type Look = { revision: string; states: State[] };

/** Of whose agents it is asked, and what the database does not know. `silentSeconds` 0: nobody is silent; `inFlight`: the limit where a definition has none. */
export type Known = { team: string; queues: readonly string[]; silentSeconds: number; inFlight: number };

/**
 * What a decision needs of this very moment, in one statement: the registry's revision, and these agents' signs of life, load and
 * recent starts. In no order; without those that are not active.
 */
export async function look(db: Db, agents: readonly string[], known: Known): Promise<Look> {
  const [row] = await db<Look[]>`
    select revision::text, coalesce((
      select jsonb_agg(to_jsonb(state)) from (${statesOf(db, agents, known)}) as state
    ), '[]') as states
    from registry_state
  `;
  return row ?? { revision: "0", states: [] };
}

/**
 * A condition: the registry has this revision still, and of these agents those and no others cannot take work, each for the same
 * reason as before.
 */
export function isAsSeen(db: Db, revision: string, states: readonly State[], known: Known): Fragment {
  const current = db`(select revision from registry_state) = ${revision}::bigint`;
  if (states.length === 0) return current;
  const obstacles = Object.fromEntries(states.map(({ agent, obstacle }) => [agent, obstacle]));
  const agents = states.map(({ agent }) => agent);
  return db`
    ${current} and not exists (
      select from (${statesOf(db, agents, known)}) as state
      where obstacle is distinct from ${db.json(obstacles)}::jsonb ->> agent
    )
  `;
}

/** The rows of State for these agents. */
function statesOf(db: Db, agents: readonly string[], { team, queues, silentSeconds, inFlight }: Known): Fragment {
  return db`
    select *, case
      when not has_queue then 'no_queue'
      when must_report and seen_at is null then 'unheard'
      when silent_since is not null then 'silent'
      when executing >= at_once then 'busy'
      when recent >= rate_count then 'rate'
    end as obstacle
    from (
      select definition.agent_name as agent,
        definition.queue_url is not null or definition.agent_name = any(${opaque(db, queues)}) as has_queue,
        seen_at, must_report,
        case when must_report and seen_at < now() - make_interval(secs => ${silentSeconds})
          then to_char(seen_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
        end as silent_since,
        coalesce((parsed_metadata #>> '{limits,concurrency}')::int, ${inFlight}::int) as at_once,
        (select count(*) from tasks where tasks.team_id = definition.team_id and status = 'executing' and to_agent = definition.agent_name)::int as executing,
        (parsed_metadata #>> '{limits,rate,count}')::int as rate_count,
        (parsed_metadata #>> '{limits,rate,per_seconds}')::float8 as rate_seconds,
        (select count(*) from unnest(recent) as start (at)
          where at > now() - make_interval(secs => (parsed_metadata #>> '{limits,rate,per_seconds}')::float8))::int as recent
      from agent_definitions as definition
        left join agent_presence using (team_id, agent_name)
        left join agent_rate using (team_id, agent_name)
        cross join lateral (
          select ${silentSeconds}::float8 > 0 and coalesce(parsed_metadata ->> 'presence', 'reported') = 'reported' as must_report
        ) as rule
      where active and definition.team_id = ${team} and definition.agent_name = any(${opaque(db, agents)})
    ) as measured
  `;
}

/** An array whose length the planner does not look at: so it keeps one plan, where planning anew took six times as long as running. */
function opaque(db: Db, values: readonly string[]): Fragment {
  return db`array(select unnest(${values as string[]}::text[]))`;
}
