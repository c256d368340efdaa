import { show } from "../../lib/wiring/calls/reading.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";
import { getWork } from "../../lib/work/core/routes.ts";

/** GET /work/{task_id}: the work with its history; with ?wait= as soon as it is final. */
export const handler = httpFunction(functionPlane(), [getWork, show]);
