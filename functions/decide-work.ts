import type { APIGatewayProxyEventV2, Context } from "aws-lambda";
import { connect } from "../lib/runtime/db.ts";
import { http } from "../lib/runtime/http.ts";
import { notFound } from "../lib/runtime/not-found.ts";
import { anyOther } from "../lib/runtime/routes.ts";
import { send, stamp, wake } from "../lib/wiring.ts";
import { decide } from "../lib/work/decide.ts";
import type { Decision } from "../lib/work/lifecycle.ts";
import { deliver } from "../lib/work/outbox.ts";
import { approveWork, cancelWork, rejectWork, retryWork } from "../lib/work/routes.ts";
import { toTask } from "../lib/work/task.ts";

const db = connect();

const handlers = {
  approve: of("approve", approveWork),
  reject: of("reject", rejectWork),
  cancel: of("cancel", cancelWork),
  retry: of("retry", retryWork),
};

/** POST /work/{task_id}/approve, reject, cancel, retry: a person decides; then whoever must know is told. */
export const handler = async (event: APIGatewayProxyEventV2, context?: Context) => {
  const verb = event.rawPath.split("/").findLast((part) => part !== "") ?? "";
  const handle = Object.hasOwn(handlers, verb) ? handlers[verb as Decision] : unknown;
  return await handle(event, context);
};

/** A path that API Gateway read as one of the four, and that is none of them letter by letter. */
const unknown = http(anyOther, async ({ method, path }) => {
  throw notFound([], method, path);
});

function of(decision: Decision, route: typeof approveWork | typeof rejectWork | typeof cancelWork | typeof retryWork) {
  return http(route, async ({ params, body, log, tell }) => {
    tell({ task_id: params.task_id });
    const { row, outgoing } = await decide(db, decision, params.task_id, body, stamp);
    tell({ task_trace_id: row.traceId });
    log.info("work decided", { task_id: row.taskId, trace_id: row.traceId, decision, status: row.status });
    await deliver(db, outgoing, send);
    if (row.status === "approved") await wake(row);
    return { status: 200, body: toTask(row) };
  });
}
