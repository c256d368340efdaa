import type { APIGatewayProxyEventV2, Context } from "aws-lambda";
import { system } from "../../lib/access/actor.ts";
import { giveFeedback } from "../../lib/router/learn/feedback.ts";
import { http } from "../../lib/runtime/http/http.ts";
import { notFound } from "../../lib/runtime/http/not-found.ts";
import { anyOther } from "../../lib/runtime/http/routes.ts";
import { uuidOf } from "../../lib/runtime/ids.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { router, routerSettings } from "../../lib/wiring/control-plane.ts";
import { sendThrough, stamp, wake } from "../../lib/wiring/queues.ts";
import type { Decision } from "../../lib/work/core/lifecycle.ts";
import { deliver } from "../../lib/work/core/outbox.ts";
import {
  approveWork,
  cancelWork,
  giveFeedback as feedbackRoute,
  handOverWork,
  rejectWork,
  retryWork,
} from "../../lib/work/core/routes.ts";
import { toTask } from "../../lib/work/reading/task.ts";
import { decide } from "../../lib/work/submission/decide.ts";
import { handOver } from "../../lib/work/submission/handover-by-person.ts";

const db = connect();
const actor = system("http");
const send = sendThrough(db);

const handlers = {
  approve: of("approve", approveWork),
  reject: of("reject", rejectWork),
  cancel: of("cancel", cancelWork),
  retry: of("retry", retryWork),
  handover: http(handOverWork, async ({ params, body, log, tell }) => {
    const { task_id } = params;
    tell({ task_id });
    const { row, outgoing } = await handOver(db, actor, router, task_id, body, uuidOf, stamp);
    tell({ task_trace_id: row.traceId });
    log.info("work handed over", { task_id, trace_id: row.traceId, status: row.status, to_agent: row.toAgent });
    await deliver(db, outgoing, send);
    if (row.status === "approved") await wake(row);
    return { status: 200, body: toTask(row) };
  }),
  feedback: http(feedbackRoute, async ({ params, body, log, tell }) => {
    tell({ task_id: params.task_id });
    const given = await giveFeedback(db, actor, routerSettings, params.task_id, body);
    log.info("feedback given", { task_id: given.task_id, agent: given.agent, score: given.score });
    return { status: 200, body: given };
  }),
};

/** POST /work/{task_id}/approve, reject, cancel, retry, handover, feedback: what is said about work; then whoever must know is told. */
export const handler = async (event: APIGatewayProxyEventV2, context?: Context) => {
  const verb = event.rawPath.split("/").findLast((part) => part !== "") ?? "";
  const handle = Object.hasOwn(handlers, verb) ? handlers[verb as keyof typeof handlers] : unknown;
  return await handle(event, context);
};

/** A path that API Gateway read as one of these, and that is none of them letter by letter. */
const unknown = http(anyOther, async ({ method, path }) => {
  throw notFound([], method, path);
});

function of(decision: Decision, route: typeof approveWork | typeof rejectWork | typeof cancelWork | typeof retryWork) {
  return http(route, async ({ params, body, log, tell }) => {
    tell({ task_id: params.task_id });
    const { row, outgoing } = await decide(db, actor, router, decision, params.task_id, body, stamp);
    tell({ task_trace_id: row.traceId });
    log.info("work decided", { task_id: row.taskId, trace_id: row.traceId, decision, status: row.status });
    await deliver(db, outgoing, send);
    if (row.status === "approved") await wake(row);
    return { status: 200, body: toTask(row) };
  });
}
