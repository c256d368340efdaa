import { sqsQueues } from "../../lib/runtime/aws/queues.ts";
import { getHealth } from "../../lib/runtime/http/routes.ts";
import { health } from "../../lib/wiring/calls/system.ts";
import { functionPlane, openFunction } from "../../lib/wiring/serve.ts";
import expected from "../../migrations/names.json" with { type: "json" };

/** GET /health: 200 where database, queues and migrations are as they must be, 503 with the same body otherwise. */
export const handler = openFunction(functionPlane(sqsQueues()), [getHealth, health(expected)]);
