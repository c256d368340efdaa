import type { Answer, Call } from "../../runtime/http/route.ts";
import type { explainRoute, rerunWork, submitWork } from "../../work/core/routes.ts";
import type { TaskRow } from "../../work/core/task-row.ts";
import { toTask } from "../../work/reading/task.ts";
import { explainRouting } from "../../work/submission/explain-routing.ts";
import { rerun as rerunOnce } from "../../work/submission/rerun.ts";
import { submit as submitOnce } from "../../work/submission/submit.ts";
import type { ControlPlane } from "../control-plane.ts";
import { router } from "../router.ts";
import type { Answers } from "../serve.ts";
import { inTeam, teamOn } from "../team.ts";
import { keyOf } from "./idempotency-key.ts";

/** Keeps the work in one commit, then wakes the dispatcher where nobody need be asked. */
export const submit: Answers<typeof submitWork> = async (plane, actor, call) => {
  const submission = { ...idsOf(call), work: call.body };
  return answer(
    plane,
    call,
    await submitOnce(teamOn(plane, actor), actor, plane.settings.work, plane.part(router), submission),
  );
};

/** Keeps work that has ended as new work, as submit does. */
export const rerun: Answers<typeof rerunWork> = async (plane, actor, call) => {
  const submission = { ...idsOf(call), said: call.body };
  const { task_id } = call.params;
  return answer(
    plane,
    call,
    await rerunOnce(teamOn(plane, actor), actor, plane.settings.work, plane.part(router), task_id, submission),
  );
};

/** The ids under which work is kept. */
function idsOf({ headers, callId, traceId }: Pick<Call<typeof submitWork>, "headers" | "callId" | "traceId">) {
  return { key: keyOf(headers), taskId: callId, traceId };
}

async function answer(
  { wake }: ControlPlane,
  { log, tell }: Pick<Call<typeof submitWork>, "log" | "tell">,
  { row, replayed }: { row: TaskRow; replayed: boolean },
): Promise<Answer> {
  const task = toTask(row);
  tell({ task_id: task.task_id, task_trace_id: task.trace_id });
  const location = `/work/${task.task_id}`;
  if (replayed) return { status: 200, body: task, headers: { location, "idempotent-replayed": "true" } };
  log.info("work submitted", { task_id: task.task_id, trace_id: task.trace_id, status: task.status });
  if (task.status === "approved") await wake(row);
  return { status: 201, body: task, headers: { location } };
}

/** Tells who would get the work, and keeps nothing. */
export const explain: Answers<typeof explainRoute> = async (plane, actor, { body }) => {
  return {
    status: 200,
    body: await inTeam(plane, actor, async (db) => await explainRouting(db, actor, plane.part(router).route, body)),
  };
};
