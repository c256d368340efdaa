import type { Db, Fragment } from "../../runtime/postgres/db.ts";

/** Whether fewer steps, or less output, of an attempt is here than its result counts in `metrics`. SQL. */
export function isShort(db: Db, taskId: Fragment, attempt: Fragment): Fragment {
  const counted = (name: Fragment) => db`
    case jsonb_typeof(told.metrics -> ${name}) when 'number' then (told.metrics -> ${name})::numeric end
  `;
  return db`exists (
    select from task_attempts as told cross join lateral (
      select count(distinct log_id) as steps, coalesce(sum(output_size_bytes), 0) as bytes
      from execution_logs as log left join execution_output using (log_id)
      where log.task_id = told.task_id and log.attempt = told.attempt
    ) as here
    where told.task_id = ${taskId} and told.attempt = ${attempt}
      and (here.steps < ${counted(db`'steps'`)} or here.bytes < ${counted(db`'output_bytes'`)})
  )`;
}
