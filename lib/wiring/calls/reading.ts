import { findQueueUrls } from "../../registry/queues.ts";
import { findEvents } from "../../router/learn/handovers.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import { findStatus, findTask, listTasks } from "../../work/core/queries.ts";
import type { getLogs, getOutput, getWork, listWork } from "../../work/core/routes.ts";
import { findPieces, rangeOf, readRange } from "../../work/reading/output.ts";
import { stepsOf, toTask, withHistory } from "../../work/reading/task.ts";
import { waitForFinal } from "../../work/reading/wait.ts";
import { unknownWork } from "../../work/submission/decide.ts";
import type { ControlPlane } from "../control-plane.ts";
import type { Answers } from "../serve.ts";

/** What is kept of a call's time to read and answer once its wait is over. */
const ANSWER_MS = 1_500;

/** One page of work, newest first, with the cursor of the next page or null. */
export const list: Answers<typeof listWork> = async ({ db }, _actor, { query: { limit, ...filter } }) => {
  const rows = await listTasks(db, filter, limit + 1);
  const page = rows.slice(0, limit);
  const next_cursor = rows.length > limit ? (page.at(-1)?.taskId ?? null) : null;
  return { status: 200, body: { items: page.map(toTask), next_cursor } };
};

/** One piece of work with its history; with ?wait= as soon as it is final. */
export const show: Answers<typeof getWork> = async (plane, _actor, { params, query, tell, remainingMs }) => {
  const { db } = plane;
  tell({ task_id: params.task_id });
  const waitMs = Math.min(query.wait * 1000, remainingMs() - ANSWER_MS);
  if (waitMs > 0) await waitForFinal(db, params.task_id, waitMs);
  const row = await findTask(db, params.task_id);
  if (row === undefined) throw unknownWork(params.task_id);
  tell({ task_trace_id: row.traceId });
  const lookups = { findEvents, whyHeldUp: async (known: Db, agent: string) => await whyHeldUp(plane, known, agent) };
  return { status: 200, body: await withHistory(db, row, lookups) };
};

/** Work whose agent has no queue waits until it has one. */
async function whyHeldUp({ settings }: ControlPlane, db: Db, agent: string): Promise<string | null> {
  if (agent in settings.queues.agents || (await findQueueUrls(db, [agent]))[agent] !== undefined) return null;
  return `${agent} has no queue yet. GET /agents/${agent} says how to make one; or hand the work over to another agent.`;
}

/** The steps of every attempt, in order. */
export const steps: Answers<typeof getLogs> = async ({ db }, _actor, { params, tell }) => {
  tell({ task_id: params.task_id });
  const found = await stepsOf(db, params.task_id);
  if (found.length === 0 && (await findStatus(db, params.task_id)) === undefined) throw unknownWork(params.task_id);
  return { status: 200, body: { steps: found } };
};

/** The full output in step order, byte for byte, or the part that Range names. */
export const output: Answers<typeof getOutput> = async (plane, _actor, { params, query, headers, tell }) => {
  const { db, settings } = plane;
  tell({ task_id: params.task_id });
  const pieces = await findPieces(db, params.task_id, query.attempt, query.step);
  if (pieces.length === 0 && (await findStatus(db, params.task_id)) === undefined) throw unknownWork(params.task_id);
  const { status, start, end, size } = rangeOf(pieces, headers.range, settings.output.OUTPUT_RESPONSE_BYTES);
  const bytes = await readRange(db, pieces, start, end);
  return {
    status,
    bytes,
    headers: {
      "content-type": "text/plain; charset=utf-8",
      "accept-ranges": "bytes",
      ...(status === 206 ? { "content-range": `bytes ${start}-${end}/${size}` } : {}),
    },
  };
};
