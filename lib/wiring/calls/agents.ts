import {
  deleteAgent,
  describeAgent,
  keepPresence,
  listAgents,
  putAgent,
  readBody,
  type Surroundings,
} from "../../registry/agents.ts";
import type * as routes from "../../registry/routes.ts";
import { howToCreate, queueFor } from "../agent-queues.ts";
import type { ControlPlane } from "../control-plane.ts";
import type { Answers } from "../serve.ts";

/** A page of the agents by name, whether each is there, and what it has shown. */
export const list: Answers<typeof routes.listAgents> = async (plane, _actor, { query }) => {
  return { status: 200, body: await listAgents(plane.db, surroundings(plane), query) };
};

/** One agent with its versions, its rates, its presence and its work. */
export const show: Answers<typeof routes.getAgent> = async (plane, _actor, { params }) => {
  return { status: 200, body: await describeAgent(plane.db, surroundings(plane), params.name) };
};

/** Stores a definition, with the queue of its agent. */
export const put: Answers<typeof routes.putAgent> = async (plane, _actor, call) => {
  const { params, query, body, callId, log } = call;
  const { db, settings } = plane;
  const around = surroundings(plane);
  const read = readBody(params.name, body);
  const outcome = await putAgent(db, around, {
    read,
    allowOlder: query.allow_older,
    reactivate: query.reactivate,
    definitionId: callId,
    queueFor: async (definition) => await queueFor(settings.agentQueues, definition),
  });
  log.info("agent stored", { agent: params.name, version: read.definition.version, outcome });
  const answer = { ...(await describeAgent(db, around, params.name)), changed: outcome !== "unchanged" };
  if (outcome !== "created") return { status: 200, body: answer };
  return { status: 201, body: answer, headers: { location: `/agents/${params.name}` } };
};

/** Deactivates an agent. */
export const remove: Answers<typeof routes.deleteAgent> = async (plane, _actor, { params, log }) => {
  const changed = await deleteAgent(plane.db, params.name);
  log.info("agent deactivated", { agent: params.name, changed });
  return { status: 200, body: await describeAgent(plane.db, surroundings(plane), params.name) };
};

/** Keeps that an agent is there. */
export const presence: Answers<typeof routes.reportPresence> = async ({ db }, _actor, { params, body }) => {
  return { status: 200, body: await keepPresence(db, params.name, body.instance) };
};

/** What answers about agents need beside the database. */
function surroundings({ settings }: ControlPlane): Surroundings {
  return {
    queues: settings.queues.agents,
    silentSeconds: settings.router.AGENT_PRESENCE_SECONDS,
    howToCreate: (definition) => howToCreate(settings.agentQueues, definition),
  };
}
