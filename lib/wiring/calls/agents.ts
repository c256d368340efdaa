import { type Actor, DEFAULT_TEAM, teamOf } from "../../access/actor.ts";
import { namedIn } from "../../access/teams.ts";
import {
  deleteAgent,
  describeAgent,
  keepPresence,
  listAgents,
  putAgent,
  type Surroundings,
  versionsOf,
} from "../../registry/agents.ts";
import type * as routes from "../../registry/routes.ts";
import { refusalsOf } from "../../work/reading/undeliverable.ts";
import { howToCreate, queueFor } from "../agent-queues.ts";
import type { ControlPlane } from "../control-plane.ts";
import type { Answers } from "../serve.ts";
import { inTeam, teamOn } from "../team.ts";

/** A page of the agents by name, whether each is there, and what it has shown. */
export const list: Answers<typeof routes.listAgents> = async (plane, actor, { query }) => {
  const around = await surroundings(plane, actor);
  return { status: 200, body: await inTeam(plane, actor, async (db) => await listAgents(db, actor, around, query)) };
};

/** One agent with its latest versions, its rates, its presence and its work. */
export const show: Answers<typeof routes.getAgent> = async (plane, actor, { params: { name } }) => {
  const around = await surroundings(plane, actor);
  return { status: 200, body: await inTeam(plane, actor, async (db) => await describeAgent(db, actor, around, name)) };
};

/** A page of an agent's versions, latest first. */
export const versions: Answers<typeof routes.getVersions> = async (plane, actor, { params, query }) => {
  return {
    status: 200,
    body: await inTeam(plane, actor, async (db) => await versionsOf(db, actor, params.name, query)),
  };
};

/** Stores a definition, with the queue of its agent. */
export const put: Answers<typeof routes.putAgent> = async (plane, actor, { params, query, body, callId, log }) => {
  const { outcome, agent } = await putAgent(teamOn(plane, actor), actor, await surroundings(plane, actor), {
    name: params.name,
    body,
    allowOlder: query.allow_older,
    // What a person has deactivated no agent brings back.
    reactivate: query.reactivate && actor.kind !== "agent",
    definitionId: callId,
    queueFor: async (definition) => await queueFor(plane, teamOf(actor), definition),
  });
  log.info("agent stored", { agent: agent.name, version: agent.version, outcome });
  if (outcome !== "created") return { status: 200, body: agent };
  return { status: 201, body: agent, headers: { location: `/agents/${params.name}` } };
};

/** Deactivates an agent. */
export const remove: Answers<typeof routes.deleteAgent> = async (plane, actor, { params, log }) => {
  const { changed, agent } = await deleteAgent(
    teamOn(plane, actor),
    actor,
    await surroundings(plane, actor),
    params.name,
  );
  log.info("agent deactivated", { agent: params.name, changed });
  return { status: 200, body: agent };
};

/** Keeps that an agent is there. */
export const presence: Answers<typeof routes.reportPresence> = async (plane, actor, { params, body }) => {
  const { name } = params;
  return {
    status: 200,
    body: await inTeam(plane, actor, async (db) => await keepPresence(db, actor, name, body.instance)),
  };
};

/** What answers about agents need beside the database. */
async function surroundings(plane: ControlPlane, actor: Actor): Promise<Surroundings> {
  const { settings, db } = plane;
  const team = await namedIn(db, teamOf(actor));
  return {
    queues: actor.team === DEFAULT_TEAM ? settings.queues.agents : {},
    silentSeconds: settings.router.presenceSeconds,
    howToCreate: (definition) => howToCreate(settings.agentQueues, settings.queues.results, definition, team),
    findRefusals: refusalsOf,
  };
}
