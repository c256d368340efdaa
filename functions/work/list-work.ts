import { http } from "../../lib/runtime/http/http.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { listTasks } from "../../lib/work/core/queries.ts";
import { listWork } from "../../lib/work/core/routes.ts";
import { toTask } from "../../lib/work/reading/task.ts";

const db = connect();

/** GET /work: one page of work, newest first, with the cursor of the next page or null. */
export const handler = http(listWork, async ({ query: { limit, ...filter } }) => {
  const rows = await listTasks(db, filter, limit + 1);
  const page = rows.slice(0, limit);
  const next_cursor = rows.length > limit ? (page.at(-1)?.taskId ?? null) : null;
  return { status: 200, body: { items: page.map(toTask), next_cursor } };
});
