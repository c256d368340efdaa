import type { APIGatewayProxyEventV2, Context } from "aws-lambda";
import { system } from "../../lib/access/actor.ts";
import { deleteAgent, putAgent } from "../../lib/registry/agents.ts";
import { deleteAgent as deleteRoute, putAgent as putRoute } from "../../lib/registry/routes.ts";
import { http } from "../../lib/runtime/http/http.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { queueFor } from "../../lib/wiring/agent-queues.ts";
import { surroundings } from "../../lib/wiring/agents.ts";

const db = connect();
const actor = system("http");

/** PUT and DELETE /agents/{name}: stores or deactivates an agent's definition. */
export const handler = async (event: APIGatewayProxyEventV2, context?: Context) =>
  await (event.requestContext.http.method === "DELETE" ? remove : put)(event, context);

const put = http(putRoute, async ({ params: { name }, query, body, callId, log }) => {
  const wish = { allowOlder: query.allow_older, reactivate: query.reactivate, definitionId: callId, queueFor };
  const { outcome, agent } = await putAgent(db, actor, surroundings, { name, body, ...wish });
  log.info("agent stored", { agent: name, version: agent.version, outcome });
  if (outcome !== "created") return { status: 200, body: agent };
  return { status: 201, body: agent, headers: { location: `/agents/${name}` } };
});

const remove = http(deleteRoute, async ({ params: { name }, log }) => {
  const { changed, agent } = await deleteAgent(db, actor, surroundings, name);
  log.info("agent deactivated", { agent: name, changed });
  return { status: 200, body: agent };
});
