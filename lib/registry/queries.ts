import { type Actor, teamOf } from "../access/actor.ts";
import type { Db } from "../runtime/postgres/db.ts";
import type { AgentDefinition } from "./definition.ts";

/** Keeps that an agent is there. Answers when, or nothing where no active agent has this name. */
export async function insertPresence(
  db: Db,
  actor: Actor,
  name: string,
  instance: string | undefined,
): Promise<Date | undefined> {
  const [row] = await db<{ seenAt: Date }[]>`
    insert into agent_presence (team_id, agent_name, seen_at, instance)
    select team_id, agent_name, now(), ${instance ?? null} from agent_definitions
    where team_id = ${teamOf(actor)} and agent_name = ${name} and active
    on conflict on constraint agent_presence_pkey
    do update set seen_at = greatest(agent_presence.seen_at, excluded.seen_at), instance = excluded.instance
    returning seen_at
  `;
  return row?.seenAt;
}

/** An agent as it is answered: the active version, else the latest. */
export type AgentRow = {
  agentName: string;
  agentVersion: string;
  active: boolean;
  parsedMetadata: AgentDefinition;
  definitionHash: string;
  queueUrl: string | null;
  successRate: number | null;
  qualityScore: number | null;
  avgExecutionTimeMs: number | null;
  seenAt: Date | null;
  instance: string | null;
  present: boolean;
  createdAt: Date;
  updatedAt: Date;
};

/** Which agents a list shows; what is left out does not matter. */
export type AgentFilter = {
  active?: boolean | undefined;
  capability?: string | undefined;
  /** Those that take this work. */
  work_type?: string | undefined;
  name?: string | undefined;
  /** Those whose name comes after it. */
  cursor?: string | undefined;
};

/** Agents by name, each by its active version, else the latest; at most `limit`, null for all. `silentSeconds`: after how long without a sign of life one is not there; 0: never. */
export async function findAgents(
  db: Db,
  actor: Actor,
  filter: AgentFilter,
  silentSeconds: number,
  limit: number | null = null,
): Promise<AgentRow[]> {
  const { active, capability, work_type, name, cursor } = filter;
  return await db<AgentRow[]>`
    select agent_name, agent_version, active, parsed_metadata, definition_hash, queue_url,
      success_rate::float8 as success_rate, quality_score::float8 as quality_score,
      avg_execution_time_ms::float8 as avg_execution_time_ms, seen_at, instance,
      ${silentSeconds}::float8 = 0 or parsed_metadata ->> 'presence' = 'assumed'
        or coalesce(seen_at >= now() - make_interval(secs => ${silentSeconds}), false) as present,
      created_at, updated_at
    from agent_definitions as definition left join agent_presence using (team_id, agent_name)
    where team_id = ${teamOf(actor)} and ${active === true ? db`active` : db`not exists (${newerThan(db)})`}
      ${active === false ? db`and not active` : db``}
      ${name === undefined ? db`` : db`and agent_name = ${name}`}
      ${cursor === undefined ? db`` : db`and agent_name > ${cursor}`}
      ${capability === undefined ? db`` : db`and capabilities @> array[${capability}]::text[]`}
      ${work_type === undefined ? db`` : db`and routable and exists (${ruleFor(db, work_type)})`}
    order by agent_name limit ${limit}
  `;
}

/** The rules of a definition that are for this work type, by the rule of offers() in the router: a last * stands for anything. */
function ruleFor(db: Db, workType: string) {
  return db`
    select from jsonb_array_elements_text(parsed_metadata -> 'work_types') as rule
    where case when right(rule, 1) = '*' then starts_with(${workType}, left(rule, -1)) else rule = ${workType} end
  `;
}

/** The version of the same agent that stands for it instead. */
function newerThan(db: Db) {
  return db`
    select from agent_definitions as other
    where other.team_id = definition.team_id and other.agent_name = definition.agent_name and not definition.active
      and (other.active, other.updated_at, other.definition_id)
        > (definition.active, definition.updated_at, definition.definition_id)
  `;
}

/** A version of an agent without its content. */
export type VersionSummary = {
  definitionId: string;
  version: string;
  active: boolean;
  hash: string;
  createdAt: Date;
  updatedAt: Date;
};
/** What an agent has shown in work of one type: rates 0 to 1, null where nothing ended; observations as faded as they are. */
export type Shown = {
  workType: string;
  observations: number;
  successRate: number | null;
  qualityScore: number | null;
  avgExecutionTimeMs: number | null;
  observedAt: Date;
};
/** Versions of an agent, latest first: at most `limit`, those after the one with this id. */
export async function findVersionSummaries(
  db: Db,
  actor: Actor,
  name: string,
  { limit, after }: { limit: number; after?: string | undefined },
): Promise<VersionSummary[]> {
  const team = teamOf(actor);
  const place = db`
    select updated_at, definition_id from agent_definitions where team_id = ${team} and definition_id = ${after ?? null}
  `;
  return await db<VersionSummary[]>`
    select definition_id, agent_version as version, active, definition_hash as hash, created_at, updated_at
    from agent_definitions
    where team_id = ${team} and agent_name = ${name} ${after === undefined ? db`` : db`and (updated_at, definition_id) < (${place})`}
    order by updated_at desc, definition_id desc
    limit ${limit}
  `;
}

/** What an agent has shown by work type, in the `limit` latest of them. */
export async function findShown(db: Db, actor: Actor, name: string, limit: number): Promise<Shown[]> {
  return await db<Shown[]>`
    select work_type, weight as observations, success_sum / nullif(weight, 0) as success_rate,
      quality_sum / nullif(quality_weight, 0) as quality_score,
      time_ms_sum / nullif(time_weight, 0) as avg_execution_time_ms, observed_at
    from (
      select * from agent_performance where team_id = ${teamOf(actor)} and agent_name = ${name}
      order by observed_at desc, work_type limit ${limit}
    ) as latest
    order by work_type
  `;
}

/** How much belongs to an agent; `executing` and `waiting` count its work at this moment. */
export type AgentCounts = { versions: number; workTypes: number; executing: number; waiting: number };

/** How much belongs to an agent; 0 versions: there never was such an agent. */
export async function countOf(db: Db, actor: Actor, name: string): Promise<AgentCounts> {
  const team = teamOf(actor);
  const [counts] = await db<AgentCounts[]>`
    select (select count(*)::int from agent_definitions where team_id = ${team} and agent_name = ${name}) as versions,
      (select count(*)::int from agent_performance where team_id = ${team} and agent_name = ${name}) as work_types,
      (select count(*)::int from tasks where team_id = ${team} and status = 'executing' and to_agent = ${name}) as executing,
      (select count(*)::int from tasks where team_id = ${team} and status = 'approved' and to_agent = ${name}) as waiting
  `;
  if (counts === undefined) throw new Error("a count has no row");
  return counts;
}
