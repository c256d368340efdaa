import type * as z from "zod";
import type { Actor } from "../access/actor.ts";
import { CallerError } from "../errors.ts";
import type { Db, Pool } from "../runtime/postgres/db.ts";
import type { AgentDefinition } from "./definition.ts";
import { type Read, readDefinition } from "./definition-file.ts";
import { type AgentFilter, type AgentRow, findAgentHistory, findAgents, insertPresence } from "./queries.ts";
import type { Agent, AgentDetails, Presence, StoredAgent } from "./schema.ts";
import { type Outcome, storeDefinition } from "./store.ts";
import { deactivate, findVersions, lockAgent } from "./versions.ts";

/** What answers about agents need beside the database. */
export type Surroundings = {
  /** The queue URLs that the environment gives, by agent: they come before those of the registry. */
  queues: Record<string, string>;
  /** After how many seconds without a sign of life an agent is not there; 0: never. */
  silentSeconds: number;
  /** What a person does about an agent that has no queue, in a sentence with commands. */
  howToCreate: (definition: AgentDefinition) => string;
};

/** A page of the agents that a filter leaves, by name, and the name after which the next one starts. */
export async function listAgents(
  db: Db,
  _actor: Actor,
  around: Surroundings,
  { limit, ...filter }: AgentFilter & { limit: number },
): Promise<{ items: Agent[]; next_cursor: string | null }> {
  const rows = await findAgents(db, filter, around.silentSeconds, limit + 1);
  const items = rows.slice(0, limit).map((row) => toAgent(row, around));
  return { items, next_cursor: rows.length > limit ? (items.at(-1)?.name ?? null) : null };
}

/** One agent with all that belongs to it. Throws a CallerError, 404, where there is none. */
export async function describeAgent(db: Db, _actor: Actor, around: Surroundings, name: string): Promise<AgentDetails> {
  const [[row], history] = await Promise.all([
    findAgents(db, { name }, around.silentSeconds),
    findAgentHistory(db, name),
  ]);
  if (row === undefined) throw unknownAgent(name);
  const { executing, waiting, versions, performance } = history;
  return {
    ...toAgent(row, around),
    versions: versions.map(({ version, active, hash, ...times }) => ({ version, active, hash, ...timesOf(times) })),
    performance: performance.map((shown) => ({
      work_type: shown.workType,
      observations: shown.observations,
      success_rate: shown.successRate,
      quality_score: shown.qualityScore,
      avg_execution_time_ms: shown.avgExecutionTimeMs,
      observed_at: shown.observedAt.toISOString(),
    })),
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
 * definition, 409 where a higher version is active or the agent must not come back.
 */
export async function putAgent(
  pool: Pool,
  actor: Actor,
  around: Surroundings,
  { name, body, queueFor, ...wish }: Put,
): Promise<{ outcome: Outcome; agent: z.infer<typeof StoredAgent> }> {
  const read = readBody(name, body);
  // Looked for before the transaction: SQS must hold up nobody else.
  const queueUrl = await findQueue(pool, around, read, queueFor);
  const outcome = await pool.begin(async (db) => await storeDefinition(db, read, { ...wish, queueUrl }));
  const agent = await describeAgent(pool, actor, around, name);
  return { outcome, agent: { ...agent, changed: outcome !== "unchanged" } };
}

/** Its queue, null where it has none; undefined where it needs none to be looked for: the one that it had stays. */
async function findQueue(
  db: Db,
  around: Surroundings,
  { definition, hash }: Read,
  queueFor: Put["queueFor"],
): Promise<string | null | undefined> {
  const { name, version, routable } = definition;
  const before = (await findVersions(db, name)).find(({ active }) => active);
  const known = before?.agentVersion === version && before.definitionHash === hash && before.queueUrl !== null;
  const needsNone = around.queues[name] !== undefined || !routable;
  return known || needsNone ? undefined : await queueFor(definition);
}

/**
 * Deactivates an agent; one that is already is left as it is. Answers whether that changed anything, and the agent as it is then.
 * Throws a CallerError, 404, for one that never was.
 */
export async function deleteAgent(
  pool: Pool,
  actor: Actor,
  around: Surroundings,
  name: string,
): Promise<{ changed: boolean; agent: AgentDetails }> {
  const changed = await pool.begin(async (db) => {
    await lockAgent(db, name);
    if (await deactivate(db, name)) return true;
    if ((await findVersions(db, name)).length === 0) throw unknownAgent(name);
    return false;
  });
  return { changed, agent: await describeAgent(pool, actor, around, name) };
}

/** Keeps that an agent is there. Throws a CallerError, 404, where no active agent has this name. */
export async function keepPresence(
  db: Db,
  _actor: Actor,
  name: string,
  instance?: string,
): Promise<z.infer<typeof Presence>> {
  const seenAt = await insertPresence(db, name, instance);
  if (seenAt === undefined) {
    const message = `No active agent is called ${name}. PUT its definition to /agents/${name} first.`;
    throw new CallerError(404, "agent_not_found", message);
  }
  return { name, seen_at: seenAt.toISOString() };
}

function unknownAgent(name: string): CallerError {
  return new CallerError(404, "agent_not_found", `There is no agent ${name}. GET /agents lists them.`);
}

function toAgent(row: AgentRow, { queues, howToCreate }: Surroundings): Agent {
  const { agentName: name, parsedMetadata: definition } = row;
  const url = queues[name] ?? row.queueUrl;
  const missing = url === null && definition.routable;
  return {
    name,
    version: row.agentVersion,
    active: row.active,
    definition,
    hash: row.definitionHash,
    queue: { url, status: missing ? "missing" : "ready", todo: missing ? howToCreate(definition) : null },
    presence: { present: row.present, seen_at: row.seenAt?.toISOString() ?? null, instance: row.instance },
    success_rate: row.successRate,
    quality_score: row.qualityScore,
    avg_execution_time_ms: row.avgExecutionTimeMs,
    ...timesOf(row),
  };
}

function timesOf({ createdAt, updatedAt }: { createdAt: Date; updatedAt: Date }) {
  return { created_at: createdAt.toISOString(), updated_at: updatedAt.toISOString() };
}
