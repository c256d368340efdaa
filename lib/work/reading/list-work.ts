import type { Actor } from "../../access/actor.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { TaskSummary } from "../core/answers.ts";
import { findTasks, type ListFilter } from "./queries.ts";
import { toSummary } from "./task.ts";

/** A page of at most `limit` pieces of work, newest first, and the cursor of the next page: null where there is none. */
export async function listWork(
  db: Db,
  _actor: Actor,
  { limit, ...filter }: ListFilter & { limit: number },
): Promise<{ items: TaskSummary[]; next_cursor: string | null }> {
  const rows = await findTasks(db, filter, limit + 1);
  const items = rows.slice(0, limit).map(toSummary);
  return { items, next_cursor: rows.length > limit ? (items.at(-1)?.task_id ?? null) : null };
}
