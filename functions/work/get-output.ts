import { output } from "../../lib/wiring/calls/reading.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";
import { getOutput } from "../../lib/work/core/routes.ts";

/** GET /work/{task_id}/output: the full output in step order, byte for byte, or the part that Range names. */
export const handler = httpFunction(functionPlane(), [getOutput, output]);
