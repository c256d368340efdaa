import { findQueueUrls } from "../../lib/registry/queues.ts";
import { findEvents } from "../../lib/router/learn/handovers.ts";
import { readQueues } from "../../lib/runtime/aws/queue-env.ts";
import { http } from "../../lib/runtime/http/http.ts";
import { connect, type Db } from "../../lib/runtime/postgres/db.ts";
import { findTask } from "../../lib/work/core/queries.ts";
import { getWork } from "../../lib/work/core/routes.ts";
import { withHistory } from "../../lib/work/reading/task.ts";
import { waitForFinal } from "../../lib/work/reading/wait.ts";
import { unknownWork } from "../../lib/work/submission/decide.ts";

const db = connect();
const { agents } = readQueues();

/** What is kept of the call's time to read and answer once the wait is over. */
const ANSWER_MS = 1_500;

/** GET /work/{task_id}: the work with its steps; with ?wait= as soon as it is final. */
export const handler = http(getWork, async ({ params, query, tell, remainingMs }) => {
  tell({ task_id: params.task_id });
  const waitMs = Math.min(query.wait * 1000, remainingMs() - ANSWER_MS);
  if (waitMs > 0) await waitForFinal(db, params.task_id, waitMs);
  const row = await findTask(db, params.task_id);
  if (row === undefined) throw unknownWork(params.task_id);
  tell({ task_trace_id: row.traceId });
  return { status: 200, body: await withHistory(db, row, { findEvents, whyHeldUp }) };
});

/** Work whose agent has no queue waits until it has one. */
async function whyHeldUp(known: Db, agent: string): Promise<string | null> {
  if (agent in agents || (await findQueueUrls(known, [agent]))[agent] !== undefined) return null;
  return `${agent} has no queue yet. GET /agents/${agent} says how to make one; or hand the work over to another agent.`;
}
