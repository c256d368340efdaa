import { sqsQueues } from "../../lib/runtime/aws/queues.ts";
import { decide, feedback, handOver, remove } from "../../lib/wiring/calls/decisions.ts";
import { functionPlane, httpFunction } from "../../lib/wiring/serve.ts";
import {
  approveWork,
  cancelWork,
  deleteWork,
  giveFeedback,
  handOverWork,
  rejectWork,
  retryWork,
} from "../../lib/work/core/routes.ts";

/** POST /work/{task_id}/approve, reject, cancel, retry, handover, feedback: what is said about work. DELETE /work/{task_id}. */
export const handler = httpFunction(
  functionPlane(sqsQueues()),
  [approveWork, decide("approve")],
  [rejectWork, decide("reject")],
  [cancelWork, decide("cancel")],
  [retryWork, decide("retry")],
  [handOverWork, handOver],
  [deleteWork, remove],
  [giveFeedback, feedback],
);
