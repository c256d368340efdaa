import { listAgents } from "../../lib/registry/routes.ts";
import { list } from "../../lib/wiring/calls/agents.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";

/** GET /agents: a page of the agents by name, whether each is there, and what it has shown. */
export const handler = httpFunction(functionPlane(), [listAgents, list]);
