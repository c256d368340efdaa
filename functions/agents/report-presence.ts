import { reportPresence } from "../../lib/registry/routes.ts";
import { presence } from "../../lib/wiring/calls/agents.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";

/** POST /agents/{name}/presence: keeps that an agent is there. */
export const handler = httpFunction(functionPlane(), [reportPresence, presence]);
