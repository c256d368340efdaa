import type * as z from "zod";
import { type Actor, teamOf } from "../access/actor.ts";
import { audit } from "../access/record.ts";
import { CallerError } from "../errors.ts";
import { type Page, pageOf } from "../input/page.ts";
import type { Db } from "../runtime/postgres/db.ts";
import type { Transactions } from "../runtime/postgres/team.ts";
import type { AgentDefinition } from "./definition.ts";
import { type Read, readDefinition } from "./definition-file.ts";
import {
  type AgentFilter,
  type AgentRow,
  countOf,
  findAgents,
  findShown,
  findVersionSummaries,
  insertPresence,
  type VersionSummary,
} from "./queries.ts";
import type { Agent, AgentDetails, Presence, StoredAgent, Version } from "./schema.ts";
import { type Outcome, storeDefinition } from "./store.ts";
import { deactivate, findVersions, lockAgent } from "./versions.ts";

/** What answers about agents need beside the database. */
export type Surroundings = {
  /** The queue URLs that the environment gives, by agent of the team: they come before those of the registry. */
  queues: Record<string, string>;
  /** After how many seconds without a sign of life an agent is not there; 0: never. */
  silentSeconds: number;
  /** What a person does about an agent that has no queue, in a sentence with commands. */
  howToCreate: (definition: AgentDefinition) => string;
  /** Why the queues of those of these agents take no messages whose queues have refused one, with what to do, by agent. */
  findRefusals: (db: Db, actor: Actor, agents: readonly string[]) => Promise<Record<string, string>>;
};

/** How many of its versions are told with an agent. */
const LATEST_VERSIONS = 100;

/** In how many types of work is told what an agent has shown: in so many it is known. */
const LATEST_WORK_TYPES = 200;

/** A page of the agents that a filter leaves, by name. */
export async function listAgents(
  db: Db,
  actor: Actor,
  around: Surroundings,
  { limit, ...filter }: AgentFilter & { limit: number },
): Promise<Page<Agent>> {
  const rows = await findAgents(db, actor, filter, around.silentSeconds, limit + 1);
  return pageOf(await toAgents(db, actor, rows, around), limit, ({ name }) => name);
}

/** A page of the versions of an agent, latest first. Throws a CallerError, 404, where there never was such an agent. */
export async function versionsOf(
  db: Db,
  actor: Actor,
  name: string,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<Page<Version>> {
  const rows = await findVersionSummaries(db, actor, name, { limit: limit + 1, after: cursor });
  if (rows.length === 0 && (await countOf(db, actor, name)).versions === 0) throw unknownAgent(name);
  const { items, next_cursor } = pageOf(rows, limit, ({ definitionId }) => definitionId);
  return { items: items.map(toVersion), next_cursor };
}

/** One agent with the latest that belongs to it, and how much there is. Throws a CallerError, 404, where there is none. */
export async function describeAgent(db: Db, actor: Actor, around: Surroundings, name: string): Promise<AgentDetails> {
  const [rows, versions, performance, counts] = await Promise.all([
    findAgents(db, actor, { name }, around.silentSeconds),
    findVersionSummaries(db, actor, name, { limit: LATEST_VERSIONS }),
    findShown(db, actor, name, LATEST_WORK_TYPES),
    countOf(db, actor, name),
  ]);
  const [agent] = await toAgents(db, actor, rows, around);
  if (agent === undefined) throw unknownAgent(name);
  const { executing, waiting, workTypes } = counts;
  return {
    ...agent,
    versions: versions.map(toVersion),
    performance: performance.map((shown) => ({
      work_type: shown.workType,
      observations: shown.observations,
      success_rate: shown.successRate,
      quality_score: shown.qualityScore,
      avg_execution_time_ms: shown.avgExecutionTimeMs,
      observed_at: shown.observedAt.toISOString(),
    })),
    counts: { versions: counts.versions, work_types: workTypes },
    load: { executing, waiting },
  };
}

/** Reads the body of PUT /agents/{name}. Throws a CallerError, 400, with every fault by line, column and field. */
function readBody(name: string, body: string): Read {
  const read = readDefinition(body);
  if (!read.ok) {
    const told = read.faults.slice(0, 3).map(({ line, column, field, message }) => {
      return `line ${line}, column ${column}: ${field === "" ? "the definition" : field} ${message}`;
    });
    const more = read.faults.length > 3 ? `; and ${read.faults.length - 3} more` : "";
    const fields = read.faults.map(({ field, ...fault }) => ({ field: field || "body", ...fault }));
    throw new CallerError(400, "invalid_definition", `The definition is not valid. ${told.join("; ")}${more}.`, {
      fields,
    });
  }
  if (read.definition.name !== name) {
    const message = `is ${read.definition.name}, but the path names ${name}; make them equal`;
    throw new CallerError(400, "invalid_definition", `The definition's name ${message}.`, {
      fields: [{ field: "name", message }],
    });
  }
  return read;
}

/** The body of PUT /agents/{name}, and how it is to be stored. */
export type Put = {
  name: string;
  body: string;
  allowOlder: boolean;
  reactivate: boolean;
  definitionId: string;
  /** Finds or makes its queue; null where there is none. */
  queueFor: (definition: AgentDefinition) => Promise<string | null>;
};

/**
 * Stores a definition with its queue and answers the agent as it is then. Throws a CallerError: 400 with every fault of the
 * definition, 403 where an agent would change its own queue, 409 where a higher version is active or the agent must not come back.
 */
export async function putAgent(
  pool: Transactions,
  actor: Actor,
  around: Surroundings,
  { name, body, queueFor, ...wish }: Put,
): Promise<{ outcome: Outcome; agent: z.infer<typeof StoredAgent> }> {
  const read = readBody(name, body);
  // Looked for before the transaction: SQS must hold up nobody else.
  const queueUrl = await findQueue(pool, actor, around, read, queueFor);
  return await pool.begin(async (db) => {
    const outcome = await storeDefinition(db, teamOf(actor), read, { ...wish, queueUrl });
    const { version } = read.definition;
    if (outcome !== "unchanged")
      await audit(db, actor, { action: "agent.stored", object: ["agent", name], details: { version, outcome } });
    const agent = await describeAgent(db, actor, around, name);
    return { outcome, agent: { ...agent, changed: outcome !== "unchanged" } };
  });
}

/** Its queue, null where it has none; undefined where it needs none to be looked for: the one that it had stays. */
async function findQueue(
  pool: Transactions,
  actor: Actor,
  around: Surroundings,
  { definition, hash }: Read,
  queueFor: Put["queueFor"],
): Promise<string | null | undefined> {
  const { name, version, routable } = definition;
  const { versions, isRefused } = await pool.begin(async (db) => ({
    versions: await findVersions(db, teamOf(actor), name),
    isRefused: (await around.findRefusals(db, actor, [name]))[name] !== undefined,
  }));
  const before = versions.find(({ active }) => active);
  refuseOtherQueue(actor, definition, (before ?? versions[0])?.queue ?? null);
  const known = before?.agentVersion === version && before.definitionHash === hash && before.queueUrl !== null;
  if (around.queues[name] !== undefined || !routable) return undefined;
  if (!known) return await queueFor(definition);
  return isRefused ? ((await queueFor(definition)) ?? undefined) : undefined;
}

/**
 * By its own key an agent says what it can, and not where what is sent to it goes: another's queue would have that one do its work. Throws a
 * CallerError, 403.
 */
function refuseOtherQueue(actor: Actor, { queue }: AgentDefinition, before: string | null): void {
  if (actor.kind !== "agent" || (queue ?? null) === before) return;
  const now = before === null ? "names none" : `names ${before}`;
  const message = `An agent does not change its queue: its definition ${now}. Say the same, or use the key of an admin.`;
  throw new CallerError(403, "queue_not_yours", message, {
    fields: [{ field: "queue", message: "is another than before" }],
  });
}

/**
 * Deactivates an agent; one that is already is left as it is. Answers whether that changed anything, and the agent as it is then.
 * Throws a CallerError, 404, for one that never was.
 */
export async function deleteAgent(
  pool: Transactions,
  actor: Actor,
  around: Surroundings,
  name: string,
): Promise<{ changed: boolean; agent: AgentDetails }> {
  return await pool.begin(async (db) => {
    const team = teamOf(actor);
    await lockAgent(db, team, name);
    const changed = await deactivate(db, team, name);
    if (changed) await audit(db, actor, { action: "agent.deactivated", object: ["agent", name] });
    if (!changed && (await findVersions(db, team, name)).length === 0) throw unknownAgent(name);
    return { changed, agent: await describeAgent(db, actor, around, name) };
  });
}

/** Keeps that an agent is there. Throws a CallerError, 404, where no active agent has this name. */
export async function keepPresence(
  db: Db,
  actor: Actor,
  name: string,
  instance?: string,
): Promise<z.infer<typeof Presence>> {
  const seenAt = await insertPresence(db, actor, name, instance);
  if (seenAt === undefined) {
    const message = `No active agent is called ${name}. PUT its definition to /agents/${name} first.`;
    throw new CallerError(404, "agent_not_found", message);
  }
  return { name, seen_at: seenAt.toISOString() };
}

function unknownAgent(name: string): CallerError {
  return new CallerError(404, "agent_not_found", `There is no agent ${name}. GET /agents lists them.`);
}

async function toAgents(db: Db, actor: Actor, rows: readonly AgentRow[], around: Surroundings): Promise<Agent[]> {
  const refusals = await around.findRefusals(
    db,
    actor,
    rows.map(({ agentName }) => agentName),
  );
  return rows.map((row) => toAgent(row, around, refusals[row.agentName]));
}

function toAgent(row: AgentRow, around: Surroundings, refusal: string | undefined): Agent {
  const { agentName: name, parsedMetadata: definition } = row;
  return {
    name,
    version: row.agentVersion,
    active: row.active,
    definition,
    hash: row.definitionHash,
    queue: queueOf(row, around, refusal),
    presence: { present: row.present, seen_at: row.seenAt?.toISOString() ?? null, instance: row.instance },
    success_rate: row.successRate,
    quality_score: row.qualityScore,
    avg_execution_time_ms: row.avgExecutionTimeMs,
    ...timesOf(row),
  };
}

function queueOf(
  { agentName, queueUrl, parsedMetadata: definition }: AgentRow,
  { queues, howToCreate }: Surroundings,
  refusal: string | undefined,
): Agent["queue"] {
  const url = queues[agentName] ?? queueUrl;
  if (url === null && definition.routable) return { url, status: "missing", todo: howToCreate(definition) };
  if (refusal === undefined) return { url, status: "ready", todo: null };
  return { url, status: "undeliverable", todo: `A message to ${agentName} cannot be delivered: ${refusal}` };
}

function toVersion({ version, active, hash, ...times }: VersionSummary): Version {
  return { version, active, hash, ...timesOf(times) };
}

function timesOf({ createdAt, updatedAt }: { createdAt: Date; updatedAt: Date }) {
  return { created_at: createdAt.toISOString(), updated_at: updatedAt.toISOString() };
}
