import type { Actor } from "../../access/actor.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { TaskSummary } from "../core/answers.ts";
import { type Page, pageOf } from "./page.ts";
import { findTasks, type ListFilter } from "./queries.ts";
import { toSummary } from "./task.ts";

/** A page of at most `limit` pieces of work, newest first, and the cursor of the next page: null where there is none. */
export async function listWork(
  db: Db,
  _actor: Actor,
  { limit, ...filter }: ListFilter & { limit: number },
): Promise<Page<TaskSummary>> {
  const rows = await findTasks(db, filter, limit + 1);
  return pageOf(rows.map(toSummary), limit, ({ task_id }) => task_id);
}
