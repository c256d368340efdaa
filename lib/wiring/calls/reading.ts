import { findQueueUrls } from "../../registry/queues.ts";
import { countAllHandovers, findHandovers } from "../../router/learn/handovers.ts";
import type * as routes from "../../work/core/routes.ts";
import { attemptsOf, decisionsOf, handoversOf, stepsOf } from "../../work/reading/history.ts";
import { listWork } from "../../work/reading/list-work.ts";
import { readOutput } from "../../work/reading/output.ts";
import { showWork } from "../../work/reading/show-work.ts";
import type { Answers } from "../serve.ts";
import { agentsOf, inTeam, teamOn } from "../team.ts";

/** What is kept of a call's time to read and answer once its wait is over. */
const ANSWER_MS = 1_500;

/** One page of work, newest first, with the cursor of the next page or null. */
export const list: Answers<typeof routes.listWork> = async (plane, actor, { query }) => {
  return { status: 200, body: await inTeam(plane, actor, async (db) => await listWork(db, actor, query)) };
};

/** One piece of work with its history; with ?wait= as soon as it is final. */
export const show: Answers<typeof routes.getWork> = async (plane, actor, { params, query, tell, remainingMs }) => {
  const taskId = params.task_id;
  tell({ task_id: taskId });
  const waitMs = Math.min(query.wait * 1000, remainingMs() - ANSWER_MS);
  const lookups = { findHandovers, countHandovers: countAllHandovers, findQueueUrls, queues: agentsOf(plane, actor) };
  const work = await showWork(teamOn(plane, actor), actor, { taskId, waitMs, ...lookups });
  tell({ task_trace_id: work.trace_id });
  return { status: 200, body: work };
};

/** A page of the steps of every attempt, in order. */
export const steps: Answers<typeof routes.getLogs> = async (plane, actor, { params, query, tell }) => {
  tell({ task_id: params.task_id });
  const { items, next_cursor } = await inTeam(
    plane,
    actor,
    async (db) => await stepsOf(db, actor, params.task_id, query),
  );
  return { status: 200, body: { steps: items, next_cursor } };
};

/** A page of the attempts, first to last. */
export const attempts: Answers<typeof routes.getAttempts> = async (plane, actor, { params, query, tell }) => {
  tell({ task_id: params.task_id });
  return {
    status: 200,
    body: await inTeam(plane, actor, async (db) => await attemptsOf(db, actor, params.task_id, query)),
  };
};

/** A page of what people decided, first to last. */
export const decisions: Answers<typeof routes.getDecisions> = async (plane, actor, { params, query, tell }) => {
  tell({ task_id: params.task_id });
  return {
    status: 200,
    body: await inTeam(plane, actor, async (db) => await decisionsOf(db, actor, params.task_id, query)),
  };
};

/** A page of how the work went from agent to agent. */
export const handovers: Answers<typeof routes.getHandovers> = async (plane, actor, { params, query, tell }) => {
  tell({ task_id: params.task_id });
  return {
    status: 200,
    body: await inTeam(plane, actor, async (db) => await handoversOf(db, actor, findHandovers, params.task_id, query)),
  };
};

/** The full output in step order, byte for byte, or the part that Range names. */
export const output: Answers<typeof routes.getOutput> = async (plane, actor, call) => {
  const { method, params, query, headers, tell } = call;
  const taskId = params.task_id;
  tell({ task_id: taskId });
  // RFC 9110, 14.2: Range is of GET alone.
  const range = method === "HEAD" ? undefined : headers.range;
  const asked = { taskId, ...query, range, maxBytes: plane.settings.work.outputResponseBytes };
  const { status, bytes, start, end, size, missing } = await inTeam(
    plane,
    actor,
    async (db) => await readOutput(db, actor, asked),
  );
  return {
    status,
    bytes,
    headers: {
      "content-type": "text/plain; charset=utf-8",
      "accept-ranges": "bytes",
      ...(status === 206 ? { "content-range": `bytes ${start}-${end}/${size}` } : {}),
      "x-output-missing": missing,
    },
  };
};
