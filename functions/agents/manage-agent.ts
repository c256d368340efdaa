import { deleteAgent, putAgent } from "../../lib/registry/routes.ts";
import { sqsQueues } from "../../lib/runtime/aws/queues.ts";
import { put, remove } from "../../lib/wiring/calls/agents.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";

/** PUT and DELETE /agents/{name}: stores or deactivates an agent's definition. */
export const handler = httpFunction(functionPlane(sqsQueues()), [putAgent, put], [deleteAgent, remove]);
