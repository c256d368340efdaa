import type { Db, Fragment } from "../../runtime/postgres/db.ts";

// The first of the work that waits for the agent of the row around (`team` and its agent_name), or null: whether any does. So ordered that an
// index answers, where exists() has the planner read all that waits.

/** The first of an agent's waiting work without a key. */
export const firstWaiting = (db: Db, team: Fragment): Fragment => db`(
  select task_id from tasks where status = 'approved' and concurrency_key is null and tasks.team_id = ${team} and to_agent = agent_name
  order by priority desc, task_id limit 1
)`;

/** The first of an agent's waiting work with a key. */
export const firstKeyed = (db: Db, team: Fragment): Fragment => db`(
  select task_id from tasks where status = 'approved' and concurrency_key is not null and tasks.team_id = ${team} and to_agent = agent_name
  order by concurrency_key, priority desc, task_id limit 1
)`;
