import type { Actor } from "../../access/actor.ts";
import { type Page, pageOf } from "../../input/page.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { TaskSummary } from "../core/answers.ts";
import type { TaskRow } from "../core/task-row.ts";
import { findTasks, type ListFilter, searchTasks } from "./queries.ts";
import { toSummary } from "./task.ts";

/** So many pieces of work are looked through for a text at once. */
const SCANNED = 10_000;

/**
 * A page of at most `limit` pieces of work, newest first unless `sort` says otherwise, and the cursor of the next page: null where there
 * is none. With `text` a page ends after as many pieces as one looks through, with what was found till then, which may be nothing.
 */
export async function listWork(
  db: Db,
  actor: Actor,
  { limit, text, ...filter }: ListFilter & { limit: number; text?: string | undefined },
): Promise<Page<TaskSummary>> {
  if (text === undefined) return page(await findTasks(db, actor, filter, limit + 1), limit);
  const { rows, last } = await searchTasks(db, actor, filter, text, { limit: limit + 1, scanned: SCANNED });
  const found = page(rows, limit);
  return { ...found, next_cursor: found.next_cursor ?? last };
}

function page(rows: TaskRow[], limit: number): Page<TaskSummary> {
  return pageOf(rows.map(toSummary), limit, ({ task_id }) => task_id);
}
