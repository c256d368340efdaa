import { getAgent } from "../../lib/registry/routes.ts";
import { show } from "../../lib/wiring/calls/agents.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";

/** GET /agents/{name}: one agent with its versions, its rates, its presence and its work. */
export const handler = httpFunction(functionPlane(), [getAgent, show]);
