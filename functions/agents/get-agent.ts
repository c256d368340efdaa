import { system } from "../../lib/access/actor.ts";
import { describeAgent } from "../../lib/registry/agents.ts";
import { getAgent } from "../../lib/registry/routes.ts";
import { http } from "../../lib/runtime/http/http.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { surroundings } from "../../lib/wiring/agents.ts";

const db = connect();
const actor = system("http");

/** GET /agents/{name}: one agent with its versions, its rates, its presence and its work. */
export const handler = http(getAgent, async ({ params }) => {
  return { status: 200, body: await describeAgent(db, actor, surroundings, params.name) };
});
