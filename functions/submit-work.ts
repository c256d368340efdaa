import { connect } from "../lib/runtime/db.ts";
import { readEnv } from "../lib/runtime/env.ts";
import { http } from "../lib/runtime/http.ts";
import { uuidOf } from "../lib/runtime/ids.ts";
import { agents, wake } from "../lib/wiring.ts";
import { submitWork } from "../lib/work/routes.ts";
import { WorkSettings } from "../lib/work/schema.ts";
import { submit } from "../lib/work/submit.ts";
import { toTask } from "../lib/work/task.ts";

const db = connect();
const settings = readEnv(WorkSettings);

/** POST /work: keeps the work in one commit, then wakes the dispatcher where it needs no person. */
export const handler = http(submitWork, async ({ body, headers, callId, traceId, log, tell }) => {
  const header = headers["idempotency-key"];
  const key = header === undefined ? undefined : uuidOf(header);
  const { row, replayed } = await submit(db, settings, agents, { work: body, key, taskId: callId, traceId });
  const task = toTask(row);
  tell({ task_id: task.task_id, task_trace_id: task.trace_id });
  const location = `/work/${task.task_id}`;
  if (replayed) return { status: 200, body: task, headers: { location, "idempotent-replayed": "true" } };
  log.info("work submitted", { task_id: task.task_id, trace_id: task.trace_id, status: task.status });
  if (task.status === "approved") await wake(row);
  return { status: 201, body: task, headers: { location } };
});
