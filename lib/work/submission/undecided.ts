import type { Actor } from "../../access/actor.ts";
import type { Pool } from "../../runtime/postgres/db.ts";
import { askOf, type Route } from "../core/router-seam.ts";
import type { TaskRow } from "../core/task-row.ts";
import type { WorkSettings } from "../settings.ts";
import { approve, assign, lockIfIn } from "./decisions.ts";
import { approvalReason } from "./submit.ts";

const PAGE = 100;

/** Work without an agent; `fromAgent` handed it over, to one with these capabilities, when there was nobody else. */
type Undecided = { taskId: string; workType: string; fromAgent: string | null; capabilities: string[] };

/**
 * Has an agent chosen again for work that waits for nothing else: what a person must approve stays with the person. Answers the work
 * that has an agent now and is approved, oldest first. Goes on from the oldest for at most `budgetMs` milliseconds.
 */
export async function routeUndecided(
  pool: Pool,
  _actor: Actor,
  settings: Pick<WorkSettings, "approvalRequired">,
  route: Route,
  budgetMs: number,
): Promise<TaskRow[]> {
  const until = performance.now() + budgetMs;
  const found: TaskRow[] = [];
  for (let after: string | null = null; ; ) {
    const page: Undecided[] = await pool`
      select task_id, work_type, handover ->> 'from_agent' as from_agent,
        coalesce(handover -> 'capabilities', '[]') as capabilities
      from tasks
      where status = 'pending' and to_agent is null and approval = 'auto' and (${after}::uuid is null or task_id > ${after})
      order by task_id limit ${PAGE}
    `;
    for (const work of page) {
      if (performance.now() > until) return found;
      const reason = approvalReason({ approval: "auto", work_type: work.workType }, settings.approvalRequired);
      const row = reason === undefined ? undefined : await routeAgain(pool, route, work, reason);
      if (row !== undefined) found.push(row);
    }
    after = page.at(-1)?.taskId ?? null;
    if (page.length < PAGE) return found;
  }
}

async function routeAgain(
  pool: Pool,
  route: Route,
  { taskId, fromAgent, capabilities }: Undecided,
  reason: string,
): Promise<TaskRow | undefined> {
  return await pool.begin(async (db) => {
    const task = await lockIfIn(db, taskId, ["pending"]);
    if (task === undefined || task.toAgent !== null) return undefined;
    const exclude = fromAgent === null ? [] : [fromAgent];
    const routed = await route(db, { ...askOf(task), capabilities, exclude });
    if (routed.agent === null) return undefined;
    await assign(db, taskId, routed);
    return await approve(db, taskId, "policy", reason);
  });
}
