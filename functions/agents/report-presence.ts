import { system } from "../../lib/access/actor.ts";
import { keepPresence } from "../../lib/registry/agents.ts";
import { reportPresence } from "../../lib/registry/routes.ts";
import { http } from "../../lib/runtime/http/http.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";

const db = connect();
const actor = system("http");

/** POST /agents/{name}/presence: keeps that an agent is there. */
export const handler = http(reportPresence, async ({ params, body }) => {
  return { status: 200, body: await keepPresence(db, actor, params.name, body.instance) };
});
