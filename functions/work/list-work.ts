import { list } from "../../lib/wiring/calls/reading.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";
import { listWork } from "../../lib/work/core/routes.ts";

/** GET /work: one page of work, newest first. */
export const handler = httpFunction(functionPlane(), [listWork, list]);
