import { sqsQueues } from "../../lib/runtime/aws/queues.ts";
import { explain, submit } from "../../lib/wiring/calls/submission.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";
import { explainRoute, submitWork } from "../../lib/work/core/routes.ts";

/** POST /work: has an agent chosen and keeps the work. POST /route: tells who it would be, and keeps nothing. */
export const handler = httpFunction(functionPlane(sqsQueues()), [submitWork, submit], [explainRoute, explain]);
