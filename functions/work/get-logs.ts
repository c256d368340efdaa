import { system } from "../../lib/access/actor.ts";
import { http } from "../../lib/runtime/http/http.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { getLogs } from "../../lib/work/core/routes.ts";
import { stepsOf } from "../../lib/work/reading/show-work.ts";

const db = connect();
const actor = system("http");

/** GET /work/{task_id}/logs: the steps of every attempt, in order. */
export const handler = http(getLogs, async ({ params, tell }) => {
  tell({ task_id: params.task_id });
  return { status: 200, body: { steps: await stepsOf(db, actor, params.task_id) } };
});
