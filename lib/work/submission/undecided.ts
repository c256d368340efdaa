import type { Actor } from "../../access/actor.ts";
import type { Db, Pool } from "../../runtime/postgres/db.ts";
import { askOf, type Route } from "../core/router-seam.ts";
import { isOfTheWork, type Spoilt } from "../core/spoilt.ts";
import type { TaskRow } from "../core/task-row.ts";
import { MAX_UUID, NIL_UUID } from "../core/uuids.ts";
import type { WorkSettings } from "../settings.ts";
import { approve, assign, lockIfFree } from "./decisions.ts";
import { approvalReason } from "./submit.ts";

const PAGE = 100;

/**
 * Work without an agent; `fromAgent` handed it over, to one with these capabilities, when there was nobody else. `kind` is the same for
 * all that the router is asked the same for.
 */
type Undecided = { taskId: string; workType: string; fromAgent: string | null; capabilities: string[]; kind: string };

/** Work that has an agent now and is approved, and work of which the router could not be asked, with the error. */
export type Decided = { found: TaskRow[]; spoilt: Spoilt[] };

/**
 * Has an agent chosen again for work that waits for nothing else: what a person must approve stays with the person. It goes on from where
 * the last call ended, once around at most, for `budgetMs` milliseconds: so each comes once before any comes twice. Where there is
 * nobody for one, nobody is asked for others of its kind in the same call. Throws where the database does not answer.
 */
export async function routeUndecided(
  pool: Pool,
  _actor: Actor,
  settings: Pick<WorkSettings, "approvalRequired">,
  route: Route,
  budgetMs: number,
): Promise<Decided> {
  const until = performance.now() + budgetMs;
  const decided: Decided = { found: [], spoilt: [] };
  const nobodyFor = new Set<string>();
  let last: string | undefined;
  for await (const work of onceAround(pool)) {
    // One at least, however little time there is.
    if (last !== undefined && performance.now() > until) {
      await goOnAfter(pool, last);
      break;
    }
    last = work.taskId;
    const reason = approvalReason({ approval: "auto", work_type: work.workType }, settings.approvalRequired);
    if (reason === undefined || nobodyFor.has(work.kind)) continue;
    try {
      const answer = await routeAgain(pool, route, work, reason);
      if (answer === "nobody") nobodyFor.add(work.kind);
      else if (answer !== undefined) decided.found.push(answer);
    } catch (error) {
      if (!isOfTheWork(error)) throw error;
      decided.spoilt.push({ taskId: work.taskId, error });
    }
  }
  return decided;
}

/** All undecided work: what is behind the last that was tried, then the rest. Before each page the place is kept: a crash on it does not come first again. */
async function* onceAround(pool: Pool): AsyncGenerator<Undecided> {
  const start = await lastTried(pool);
  for (const [from, to] of [[start, MAX_UUID] as const, [NIL_UUID, start] as const]) {
    for (let after: string | undefined = from; after !== undefined; ) {
      const page = await findUndecided(pool, after, to);
      const end = page.at(-1)?.taskId;
      if (end !== undefined) await goOnAfter(pool, end);
      yield* page;
      after = page.length < PAGE ? undefined : end;
    }
  }
}

/** At most a page of undecided work behind `after` up to `to`, oldest first. Its kind is all that askOf hands to the router. */
async function findUndecided(db: Db, after: string, to: string): Promise<Undecided[]> {
  return await db<Undecided[]>`
    select task_id, work_type, handover ->> 'from_agent' as from_agent, coalesce(handover -> 'capabilities', '[]') as capabilities,
      encode(sha256(convert_to(jsonb_build_array(
        team_id, request_text, work_type, hints, project_id, handover -> 'from_agent', handover -> 'capabilities'
      )::text, 'UTF8')), 'hex') as kind
    from tasks
    where status = 'pending' and to_agent is null and approval = 'auto' and task_id > ${after} and task_id <= ${to}
    order by task_id limit ${PAGE}
  `;
}

const ROUND = "undecided";

async function lastTried(db: Db): Promise<string> {
  const [row] = await db<{ afterTaskId: string }[]>`select after_task_id from sweep_rounds where name = ${ROUND}`;
  return row?.afterTaskId ?? NIL_UUID;
}

async function goOnAfter(db: Db, taskId: string): Promise<void> {
  await db`
    insert into sweep_rounds (name, after_task_id) values (${ROUND}, ${taskId})
    on conflict on constraint sweep_rounds_pkey do update set after_task_id = excluded.after_task_id
  `;
}

/** Undefined where somebody else has it, or has decided meanwhile. */
async function routeAgain(
  pool: Pool,
  route: Route,
  { taskId, fromAgent, capabilities }: Undecided,
  reason: string,
): Promise<TaskRow | "nobody" | undefined> {
  return await pool.begin(async (db) => {
    const task = await lockIfFree(db, taskId, ["pending"]);
    if (task === undefined || task.toAgent !== null) return undefined;
    const exclude = fromAgent === null ? [] : [fromAgent];
    const routed = await route(db, task.teamId, { ...askOf(task), capabilities, exclude });
    if (routed.agent === null) return "nobody";
    await assign(db, taskId, routed);
    return await approve(db, taskId, "policy", reason);
  });
}
