import type { Db, Fragment } from "../../runtime/postgres/db.ts";

/** What a request says of its work, as columns of `tasks`: those of Claimed. */
export const requestColumns = (db: Db): Fragment => db`
  tasks.task_id, tasks.team_id, trace_id, run_id, to_agent, attempt, work_type, request_text, parameters, hints,
  handover - 'capabilities' as handover, timeout_seconds
`;
