import { sqsQueues } from "../../lib/runtime/aws/queues.ts";
import { explain, rerun, submit } from "../../lib/wiring/calls/submission.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";
import { explainRoute, rerunWork, submitWork } from "../../lib/work/core/routes.ts";

/** POST /work and /work/{task_id}/rerun: has an agent chosen and keeps the work. POST /route: tells who it would be, and keeps nothing. */
export const handler = httpFunction(
  functionPlane(sqsQueues()),
  [submitWork, submit],
  [rerunWork, rerun],
  [explainRoute, explain],
);
