import { system } from "../../lib/access/actor.ts";
import { listAgents } from "../../lib/registry/agents.ts";
import { listAgents as route } from "../../lib/registry/routes.ts";
import { http } from "../../lib/runtime/http/http.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { surroundings } from "../../lib/wiring/agents.ts";

const db = connect();
const actor = system("http");

/** GET /agents: a page of the agents by name, whether each is there, and what it has shown. */
export const handler = http(route, async ({ query }) => {
  return { status: 200, body: await listAgents(db, actor, surroundings, query) };
});
