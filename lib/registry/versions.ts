import { type Actor, teamOf } from "../access/actor.ts";
import type { Db } from "../runtime/postgres/db.ts";
import type { AgentDefinition } from "./definition.ts";
import type { Read } from "./definition-file.ts";

/** A version of an agent as far as a change of it looks at it. */
export type VersionRow = {
  definitionId: string;
  agentVersion: string;
  definitionHash: string;
  queueUrl: string | null;
  /** The queue that the definition names; null: it names none. */
  queue: string | null;
  active: boolean;
};

/** Lets one change of this agent happen at a time, until the transaction ends. */
export async function lockAgent(db: Db, team: string, name: string): Promise<void> {
  await db`select pg_advisory_xact_lock(hashtextextended(${`agent ${team} ${name}`}, 0))`;
}

/** All versions of an agent, the active one first, then the latest. */
export async function findVersions(db: Db, team: string, name: string): Promise<VersionRow[]> {
  return await db<VersionRow[]>`
    select definition_id, agent_version, definition_hash, queue_url, parsed_metadata ->> 'queue' as queue, active
    from agent_definitions where team_id = ${team} and agent_name = ${name} order by active desc, updated_at desc, definition_id desc
  `;
}

/** A definition as a version is made of it; queueUrl null: it has no queue. */
export type NewVersion = Read & { definitionId: string; team: string; queueUrl: string | null };

/** Adds an active version; what the name has shown so far goes over to it. No other may be active. */
export async function insertVersion(db: Db, { definitionId, team, queueUrl, ...read }: NewVersion): Promise<void> {
  const { name, version, capabilities, routable } = read.definition;
  await db`
    insert into agent_definitions (
      definition_id, team_id, agent_name, agent_version, yaml_config, parsed_metadata, capabilities, triggers, definition_hash, queue_url,
      active, routable, success_rate, quality_score, avg_execution_time_ms
    )
    select ${definitionId}, ${team}::uuid, ${name}, ${version}, ${json(db, read.given)}, ${json(db, read.definition)},
      ${capabilities}::text[], ${triggerTexts(read.definition)}::text[], ${read.hash}, ${queueUrl}, true, ${routable},
      shown.success_rate, shown.quality_score, shown.avg_execution_time_ms
    from (select 1) as one left join lateral (
      select success_rate, quality_score, avg_execution_time_ms from agent_definitions
      where team_id = ${team} and agent_name = ${name} order by updated_at desc, definition_id desc limit 1
    ) as shown on true
  `;
}

/** Makes a version that is there the active one, with this content. No other may be active. */
export async function updateVersion(db: Db, { definitionId, team, queueUrl, ...read }: NewVersion): Promise<void> {
  const { capabilities, routable } = read.definition;
  await db`
    update agent_definitions set
      yaml_config = ${json(db, read.given)}, parsed_metadata = ${json(db, read.definition)},
      capabilities = ${capabilities}::text[], triggers = ${triggerTexts(read.definition)}::text[],
      definition_hash = ${read.hash}, queue_url = ${queueUrl}, active = true, routable = ${routable}
    where definition_id = ${definitionId} and team_id = ${team}
  `;
}

/** Deactivates an agent's active version; answers whether there was one. */
export async function deactivate(db: Db, team: string, name: string): Promise<boolean> {
  const rows = await db`
    update agent_definitions set active = false where team_id = ${team} and agent_name = ${name} and active returning 1 as one
  `;
  return rows.length > 0;
}

/** Of these active agents, those to which work goes and which have no queue, with their definitions. */
export async function findWithoutQueue(db: Db, team: string, names: readonly string[]): Promise<AgentDefinition[]> {
  const rows = await db<{ parsedMetadata: AgentDefinition }[]>`
    select parsed_metadata from agent_definitions
    where team_id = ${team} and agent_name = any(${names as string[]}::text[]) and active and routable and queue_url is null order by agent_name
  `;
  return rows.map(({ parsedMetadata }) => parsedMetadata);
}

/** Gives an agent's active version its queue. */
export async function setQueue(db: Db, actor: Actor, name: string, url: string): Promise<void> {
  await db`
    update agent_definitions set queue_url = ${url}
    where team_id = ${teamOf(actor)} and agent_name = ${name} and active
  `;
}

function json(db: Db, value: unknown) {
  return db.json(value as Parameters<Db["json"]>[0]);
}

/** Phrases as they are, patterns as /…/: for people and for searching. */
function triggerTexts({ triggers }: AgentDefinition): string[] {
  return triggers.map((trigger) => ("phrase" in trigger ? trigger.phrase : `/${trigger.pattern}/`));
}
