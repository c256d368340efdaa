import { attempts, decisions, handovers, steps } from "../../lib/wiring/calls/reading.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";
import { getAttempts, getDecisions, getHandovers, getLogs } from "../../lib/work/core/routes.ts";

/** GET /work/{task_id}/logs, attempts, decisions, handovers: what happened to work, a page at a time. */
export const handler = httpFunction(
  functionPlane(),
  [getLogs, steps],
  [getAttempts, attempts],
  [getDecisions, decisions],
  [getHandovers, handovers],
);
