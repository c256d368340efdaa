import type { APIGatewayProxyEventV2, Context } from "aws-lambda";
import { system } from "../../lib/access/actor.ts";
import { http } from "../../lib/runtime/http/http.ts";
import { uuidOf } from "../../lib/runtime/ids.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { route } from "../../lib/wiring/control-plane.ts";
import { wake } from "../../lib/wiring/queues.ts";
import { explainRoute, submitWork } from "../../lib/work/core/routes.ts";
import { toTask } from "../../lib/work/reading/task.ts";
import { workSettings } from "../../lib/work/settings.ts";
import { explainRouting } from "../../lib/work/submission/explain-routing.ts";
import { submit } from "../../lib/work/submission/submit.ts";

const db = connect();
const actor = system("http");
const settings = readSettings(workSettings);

/** POST /work: has an agent chosen and keeps the work; POST /route: tells who it would be, and keeps nothing. */
export const handler = async (event: APIGatewayProxyEventV2, context?: Context) =>
  event.rawPath.replace(/\/+$/, "").endsWith("/route") ? await explain(event, context) : await keep(event, context);

/** Keeps the work in one commit, then wakes the dispatcher where nobody need be asked. */
const keep = http(submitWork, async ({ body, headers, callId, traceId, log, tell }) => {
  const header = headers["idempotency-key"];
  const key = header === undefined ? undefined : uuidOf(header);
  const { row, replayed } = await submit(db, actor, settings, route, { work: body, key, taskId: callId, traceId });
  const task = toTask(row);
  tell({ task_id: task.task_id, task_trace_id: task.trace_id });
  const location = `/work/${task.task_id}`;
  if (replayed) return { status: 200, body: task, headers: { location, "idempotent-replayed": "true" } };
  log.info("work submitted", { task_id: task.task_id, trace_id: task.trace_id, status: task.status });
  if (task.status === "approved") await wake(row);
  return { status: 201, body: task, headers: { location } };
});

const explain = http(explainRoute, async ({ body }) => {
  return { status: 200, body: await explainRouting(db, actor, route, body) };
});
