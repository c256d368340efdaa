import { teamOf } from "../../access/actor.ts";
import { forgetTexts } from "../../llm/accounts/forget.ts";
import { giveFeedback } from "../../router/learn/feedback.ts";
import { forgetSaid } from "../../router/learn/forget.ts";
import type { Answer } from "../../runtime/http/route.ts";
import { uuidOf } from "../../runtime/ids.ts";
import type { Decision } from "../../work/core/lifecycle.ts";
import { deliver } from "../../work/core/outbox.ts";
import type {
  approveWork,
  deleteWork as deleteRoute,
  giveFeedback as feedbackRoute,
  handOverWork,
} from "../../work/core/routes.ts";
import { toTask } from "../../work/reading/task.ts";
import { type Decided, decide as decideWork } from "../../work/submission/decide.ts";
import { deleteWork } from "../../work/submission/delete-work.ts";
import { handOver as handOverByPerson } from "../../work/submission/handover-by-person.ts";
import type { ControlPlane } from "../control-plane.ts";
import { router } from "../router.ts";
import { sealOf } from "../sealing.ts";
import type { Answers } from "../serve.ts";
import { inTeam, teamOn } from "../team.ts";
import { keyOf } from "./idempotency-key.ts";

/** Carries out what a person decided, then tells whoever must know. */
export function decide(decision: Decision): Answers<typeof approveWork> {
  return async (plane, actor, { params, headers, body, log, tell }) => {
    const { task_id } = params;
    tell({ task_id });
    const decided = await decideWork(
      teamOn(plane, actor),
      actor,
      plane.settings.work,
      plane.part(router),
      decision,
      task_id,
      body,
      await sealOf(plane),
      keyOf(headers),
    );
    const { traceId, status } = decided.row;
    tell({ task_trace_id: traceId });
    log.info("work decided", { task_id, trace_id: traceId, decision, status });
    return await answer(plane, decided);
  };
}

/** Passes work on to another agent, or keeps that its agent takes a role; said again in the same run it changes nothing. */
export const handOver: Answers<typeof handOverWork> = async (plane, actor, { params, headers, body, log, tell }) => {
  const { task_id } = params;
  tell({ task_id });
  const decided = await handOverByPerson(
    teamOn(plane, actor),
    actor,
    plane.settings.work,
    plane.part(router),
    task_id,
    body,
    uuidOf,
    await sealOf(plane),
    keyOf(headers),
  );
  const { traceId, status, toAgent } = decided.row;
  tell({ task_trace_id: traceId });
  log.info("work handed over", { task_id, trace_id: traceId, status, to_agent: toAgent });
  return await answer(plane, decided);
};

/** Deletes work that has ended, and with it what was said of it elsewhere. */
export const remove: Answers<typeof deleteRoute> = async (plane, actor, { params: { task_id }, log, tell }) => {
  tell({ task_id });
  await inTeam(plane, actor, async (db) => {
    await forgetSaid(db, teamOf(actor), task_id);
    await forgetTexts(db, teamOf(actor), task_id);
    // Last, for it throws where the work may not be deleted: then nothing is forgotten.
    await deleteWork(db, actor, task_id);
  });
  log.info("work deleted", { task_id });
  return { status: 204 };
};

/** Keeps how well work was done. */
export const feedback: Answers<typeof feedbackRoute> = async (plane, actor, { params, body, log, tell }) => {
  tell({ task_id: params.task_id });
  const given = await giveFeedback(teamOn(plane, actor), actor, plane.settings.router, params.task_id, body);
  log.info("feedback given", { task_id: given.task_id, agent: given.agent, score: given.score });
  return { status: 200, body: given };
};

/** Sends what was decided to whom it concerns, and answers the work as it is now. */
async function answer(plane: ControlPlane, { row, outgoing, replayed }: Decided): Promise<Answer> {
  await deliver(plane.db, outgoing, plane.send);
  if (row.status === "approved") await plane.wake(row);
  return { status: 200, body: toTask(row), headers: { "idempotent-replayed": String(replayed) } };
}
