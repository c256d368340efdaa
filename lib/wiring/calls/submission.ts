import { uuidOf } from "../../runtime/ids.ts";
import type { explainRoute, submitWork } from "../../work/core/routes.ts";
import { toTask } from "../../work/reading/task.ts";
import { explainRouting } from "../../work/submission/explain-routing.ts";
import { submit as submitOnce } from "../../work/submission/submit.ts";
import { router } from "../router.ts";
import type { Answers } from "../serve.ts";

/** Keeps the work in one commit, then wakes the dispatcher where nobody need be asked. */
export const submit: Answers<typeof submitWork> = async (plane, actor, call) => {
  const { body, headers, callId, traceId, log, tell } = call;
  const { db, settings, wake } = plane;
  const header = headers["idempotency-key"];
  const key = header === undefined ? undefined : uuidOf(header);
  const submission = { work: body, key, taskId: callId, traceId };
  const { row, replayed } = await submitOnce(db, actor, settings.work, plane.part(router).route, submission);
  const task = toTask(row);
  tell({ task_id: task.task_id, task_trace_id: task.trace_id });
  const location = `/work/${task.task_id}`;
  if (replayed) return { status: 200, body: task, headers: { location, "idempotent-replayed": "true" } };
  log.info("work submitted", { task_id: task.task_id, trace_id: task.trace_id, status: task.status });
  if (task.status === "approved") await wake(row);
  return { status: 201, body: task, headers: { location } };
};

/** Tells who would get the work, and keeps nothing. */
export const explain: Answers<typeof explainRoute> = async (plane, actor, { body }) => {
  return { status: 200, body: await explainRouting(plane.db, actor, plane.part(router).route, body) };
};
