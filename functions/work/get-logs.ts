import { http } from "../../lib/runtime/http/http.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { findStatus } from "../../lib/work/core/queries.ts";
import { getLogs } from "../../lib/work/core/routes.ts";
import { stepsOf } from "../../lib/work/reading/task.ts";
import { unknownWork } from "../../lib/work/submission/decide.ts";

const db = connect();

/** GET /work/{task_id}/logs: the steps of every attempt, in order. */
export const handler = http(getLogs, async ({ params, tell }) => {
  tell({ task_id: params.task_id });
  const steps = await stepsOf(db, params.task_id);
  if (steps.length === 0 && (await findStatus(db, params.task_id)) === undefined) throw unknownWork(params.task_id);
  return { status: 200, body: { steps } };
});
