import * as z from "zod";
import { Uuid } from "../protocol/messages.ts";
import type { Db } from "../runtime/postgres/db.ts";
import { STATUSES } from "../work/core/lifecycle.ts";
import { statusColumn } from "../work/core/task-row.ts";
import { Count, days, lastMoment, limit, report, since, Time } from "./report.ts";

const Tokens = z.number().nullable().describe("sum of those that are known; null where none is");
const Cost = z.number().nullable().describe("USD, sum of those that are known; null, never 0, where none is");
const unknown = {
  unknown_token_uses: Count.describe("uses whose tokens nobody told: tokens leaves them out"),
  unknown_cost_uses: Count.describe("uses whose cost nobody told: cost leaves them out"),
};

export const externalAiUse = report({
  title: "Tasks that used external AI, newest first: which models, how many tokens, at what cost.",
  parameters: z.strictObject({ days, limit }),
  row: z.strictObject({
    task_id: Uuid,
    used_at: Time.describe("when the task ended, or else began"),
    status: z.enum(STATUSES),
    work_type: z.string(),
    agent: z.string(),
    uses: Count,
    tokens: Tokens,
    cost: Cost,
    ...unknown,
    models: z
      .array(z.strictObject({ model: z.string(), uses: Count, tokens: Tokens, cost: Cost }))
      .describe("the dearest ten"),
    request_text: z.string().describe("its first 200 characters"),
  }),
  query: async (db, parameters, mine, now) =>
    await db`
    with recent as materialized (
      select task_id, ${lastMoment(db)} as used_at, ${statusColumn(db)} as status, work_type, to_agent, external_ai_used, request_text
      from tasks
      where ${mine()} and jsonb_typeof(external_ai_used) in ('array', 'object') and external_ai_used not in ('[]', '{}')
        and ${lastMoment(db)} >= ${since(db, parameters.days, now)}
      order by used_at desc, task_id desc
      limit ${parameters.limit}
    ), model as (
      select task_id, left(model, 100) as model, sum(times) as uses, sum(tokens) as tokens, sum(cost) as cost,
        coalesce(sum(times) filter (where tokens is null), 0) as unknown_tokens,
        coalesce(sum(times) filter (where cost is null), 0) as unknown_costs,
        row_number() over (partition by task_id order by sum(cost) desc nulls last, left(model, 100)) as place
      from recent cross join lateral ${uses(db)}
      group by task_id, left(model, 100)
    )
    select task_id, used_at, status, work_type, to_agent as agent, sum(uses)::float8 as uses, sum(tokens)::float8 as tokens,
      sum(cost)::float8 as cost, sum(unknown_tokens)::int as unknown_token_uses, sum(unknown_costs)::int as unknown_cost_uses,
      jsonb_agg(
        jsonb_build_object('model', model, 'uses', uses, 'tokens', tokens, 'cost', cost) order by place
      ) filter (where place <= 10) as models,
      left(request_text, 200) as request_text
    from recent join model using (task_id)
    group by task_id, used_at, status, work_type, to_agent, request_text
    order by used_at desc, task_id desc
  `,
});

export const aiCostByModel = report({
  title: "What each external model cost in all, the dearest first.",
  parameters: z.strictObject({ days, limit }),
  row: z.strictObject({
    model: z.string(),
    tasks: Count,
    uses: Count,
    tokens: Tokens,
    cost: Cost,
    ...unknown,
    first_used_at: Time,
    last_used_at: Time,
  }),
  query: async (db, parameters, mine, now) =>
    await db`
    select left(model, 200) as model, count(distinct task_id)::int as tasks, sum(times)::float8 as uses, sum(tokens)::float8 as tokens,
      sum(cost)::float8 as cost, coalesce(sum(times) filter (where tokens is null), 0)::int as unknown_token_uses,
      coalesce(sum(times) filter (where cost is null), 0)::int as unknown_cost_uses,
      min(used_at) as first_used_at, max(used_at) as last_used_at
    from (
      select task_id, ${lastMoment(db)} as used_at, external_ai_used from tasks
      where ${mine()} and external_ai_used is not null and ${lastMoment(db)} >= ${since(db, parameters.days, now)}
    ) as recent cross join lateral ${uses(db)}
    group by 1
    order by sum(cost) desc nulls last, 1
    limit ${parameters.limit}
  `,
});

/**
 * The single uses in external_ai_used, whoever wrote it: a list, or one alone; many as one where work has more than it keeps one by one.
 * What is not a number is unknown, and so is what no use of a model comes to: two costs of 1e308 have a sum that no column of a report
 * holds.
 */
function uses(db: Db) {
  const known = (value: ReturnType<Db>) => db`
    case jsonb_typeof(${value}) when 'number' then case when abs((${value})::numeric) < 1e15 then (${value})::numeric end end`;
  return db`(
    select coalesce(use ->> 'model', 'unknown') as model,
      case when use ->> 'model' = '(others)' and use ->> 'uses' ~ '^[0-9]{1,9}$' then (use ->> 'uses')::int else 1 end as times,
      ${known(db`use -> 'tokens'`)} as tokens, ${known(db`use -> 'cost'`)} as cost
    from jsonb_array_elements(
      case jsonb_typeof(external_ai_used)
        when 'array' then external_ai_used
        when 'object' then jsonb_build_array(external_ai_used)
        else '[]'
      end
    ) as use
  ) as used`;
}
