import { steps } from "../../lib/wiring/calls/reading.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";
import { getLogs } from "../../lib/work/core/routes.ts";

/** GET /work/{task_id}/logs: the steps of every attempt, in order. */
export const handler = httpFunction(functionPlane(), [getLogs, steps]);
