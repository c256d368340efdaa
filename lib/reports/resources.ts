import * as z from "zod";
import { JsonObject, Uuid } from "../protocol/messages.ts";
import type { Db } from "../runtime/postgres/db.ts";
import { STATUSES } from "../work/core/lifecycle.ts";
import { statusColumn } from "../work/core/task-row.ts";
import { Count, days, lastMoment, limit, Milliseconds, report, runMs, since, Time } from "./report.ts";

const Resources = JsonObject.nullable().describe("as told; where that has over 4 kB only omitted_bytes");

export const resourceUse = report({
  title: "What each task that ran used: time, steps, output, and the resources estimated and told by its agent.",
  parameters: z.strictObject({ days, limit }),
  row: z.strictObject({
    task_id: Uuid,
    status: z.enum(STATUSES),
    work_type: z.string(),
    agent: z.string(),
    attempts: Count,
    run_ms: Milliseconds.nullable().describe("of the latest attempt, until now where it is not over"),
    steps: Count.describe("of all attempts"),
    step_ms: Milliseconds.describe("of all steps of all attempts together, in milliseconds"),
    output_size_bytes: Count,
    estimated_resources: Resources,
    actual_resources: Resources,
    last_moment: Time.describe("when it ended, or else began"),
    request_text: z.string().describe("its first 200 characters"),
  }),
  query: async (db, parameters, mine, now) =>
    await db`
    with used as materialized (
      select task_id, ${statusColumn(db)} as status, work_type, to_agent, attempt, estimated_resources, actual_resources, request_text,
        ${lastMoment(db)} as last_moment,
        case when completed_at is not null or status = 'executing' then ${runMs(db, now)} end as run_ms
      from tasks
      where ${mine()} and (attempt > 0 or actual_resources is not null) and ${lastMoment(db)} >= ${since(db, parameters.days, now)}
      order by run_ms desc nulls last, task_id
      limit ${parameters.limit}
    )
    select task_id, status, work_type, to_agent as agent, attempt as attempts, run_ms, steps, step_ms, output_size_bytes,
      ${bounded(db, "estimated_resources")}, ${bounded(db, "actual_resources")}, last_moment, left(request_text, 200) as request_text
    from used cross join lateral (
      select count(*)::int as steps, coalesce(sum(duration_ms), 0)::float8 as step_ms, coalesce(sum((
        select sum(output_size_bytes) from execution_output as output where output.log_id = logs.log_id
      )), 0)::float8 as output_size_bytes
      from execution_logs as logs where logs.task_id = used.task_id
    ) as spent
    order by run_ms desc nulls last, task_id
  `,
});

/** A JSON column, small enough that hundreds of rows fit into an answer. */
function bounded(db: Db, column: "estimated_resources" | "actual_resources") {
  return db`
    case
      when octet_length(${db(column)}::text) > 4096 then jsonb_build_object('omitted_bytes', octet_length(${db(column)}::text))
      when jsonb_typeof(${db(column)}) <> 'object' then jsonb_build_object('value', ${db(column)})
      else ${db(column)}
    end as ${db(column)}
  `;
}
