import { system } from "../../lib/access/actor.ts";
import { findQueueUrls } from "../../lib/registry/queues.ts";
import { findHandovers } from "../../lib/router/learn/handovers.ts";
import { http } from "../../lib/runtime/http/http.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { agents } from "../../lib/wiring/queues.ts";
import { getWork } from "../../lib/work/core/routes.ts";
import { showWork } from "../../lib/work/reading/show-work.ts";

const db = connect();
const actor = system("http");
const lookups = { findHandovers, findQueueUrls, queues: agents };

/** What is kept of the call's time to read and answer once the wait is over. */
const ANSWER_MS = 1_500;

/** GET /work/{task_id}: the work with its steps; with ?wait= as soon as it is final. */
export const handler = http(getWork, async ({ params, query, tell, remainingMs }) => {
  tell({ task_id: params.task_id });
  const waitMs = Math.min(query.wait * 1000, remainingMs() - ANSWER_MS);
  const work = await showWork(db, actor, { taskId: params.task_id, waitMs, ...lookups });
  tell({ task_trace_id: work.trace_id });
  return { status: 200, body: work };
});
