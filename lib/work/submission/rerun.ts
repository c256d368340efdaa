import { type Actor, teamOf } from "../../access/actor.ts";
import { authorOf } from "../../access/author.ts";
import { CallerError } from "../../errors.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { Transactions } from "../../runtime/postgres/team.ts";
import { FINAL } from "../core/lifecycle.ts";
import type { Router } from "../core/router-seam.ts";
import { type Rerun, SubmitWork } from "../core/schema.ts";
import { findTask, type TaskRow } from "../core/task-row.ts";
import { unknownWork } from "../core/unknown-work.ts";
import type { WorkSettings } from "../settings.ts";
import { hashesOf, replay, requestIdOf, type Submission, submit } from "./submit.ts";

/**
 * Work that has ended, done again as new work with what the caller says otherwise: routed and approved anew, and with a link to what it
 * does again. The same key again answers as submit does, also once the work that it did again runs or is gone. Throws 404 for unknown
 * work, 409 where it has not ended.
 */
export async function rerun(
  pool: Transactions,
  actor: Actor,
  settings: Pick<WorkSettings, "approvalRequired">,
  router: Pick<Router, "route" | "recall" | "firstDecision">,
  rerunOf: string,
  { said, ...submission }: Omit<Submission, "work" | "again"> & { said: Rerun },
): Promise<{ row: TaskRow; replayed: boolean }> {
  const { request_id, ...otherwise } = said;
  const { by, onBehalfOf } = authorOf(actor, "created_by", { by: said.created_by, onBehalfOf: said.on_behalf_of });
  const asked = { ...otherwise, created_by: by, on_behalf_of: onBehalfOf, rerun_of: rerunOf };
  const requestId = requestIdOf(request_id, submission.key);
  const before = await pool.begin(async (db) => {
    const known = requestId === undefined ? undefined : await replay(db, teamOf(actor), requestId, hashesOf(asked));
    return known ?? (await findEnded(db, actor, router, rerunOf));
  });
  if ("taskId" in before) return { row: before, replayed: before.taskId !== submission.taskId };
  const work = SubmitWork.parse({ ...before, ...said });
  return await submit(pool, actor, settings, router, { ...submission, work, again: { rerunOf, asked } });
}

/**
 * What was submitted as work that has ended. Whom its caller has named is named again, and nobody else who has had it: not whom the router
 * chose, nor to whom it was given since. Where it was, and the first decision is no longer kept, nobody is named.
 */
async function findEnded(
  db: Db,
  actor: Actor,
  { firstDecision }: Pick<Router, "firstDecision">,
  taskId: string,
): Promise<Partial<SubmitWork>> {
  const row = await findTask(db, actor, taskId);
  if (row === undefined) throw unknownWork(taskId);
  if (!FINAL.includes(row.status)) {
    const message = `The work is ${row.status}; rerun is possible only once it is ${FINAL.join(" or ")}.`;
    throw new CallerError(409, `not_possible_from_${row.status}`, message);
  }
  const { projectId, estimatedResources, ...more } = row;
  const first = await firstDecision(db, taskId);
  return {
    request_text: row.requestText,
    work_type: row.workType,
    parameters: more["parameters"] as SubmitWork["parameters"],
    hints: row.hints as SubmitWork["hints"],
    approval: more["approval"] as SubmitWork["approval"],
    priority: more["priority"] as number,
    timeout_seconds: more["timeoutSeconds"] as number,
    max_attempts: row.maxAttempts,
    ...(first?.strategy === "explicit" && first.agent !== null ? { to_agent: first.agent } : {}),
    ...(projectId === null ? {} : { project_id: projectId }),
    ...(estimatedResources == null
      ? {}
      : { estimated_resources: estimatedResources as SubmitWork["estimated_resources"] }),
  };
}
