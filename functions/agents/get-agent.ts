import { getAgent, getVersions } from "../../lib/registry/routes.ts";
import { show, versions } from "../../lib/wiring/calls/agents.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";

/** GET /agents/{name}: one agent with its rates, its presence and its work. GET /agents/{name}/versions: its versions. */
export const handler = httpFunction(functionPlane(), [getAgent, show], [getVersions, versions]);
