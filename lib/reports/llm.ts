import * as z from "zod";
import { Count, days, limit, report, since } from "./report.ts";

// What the LLM gateway kept of its calls: table llm_calls, a row an attempt.

const Milliseconds = z.number().nullable();

export const llmFallbacks = report({
  title: "How often the first model of a chain did not answer, by day and by the model that was asked first.",
  parameters: z.strictObject({ days, limit }),
  row: z.strictObject({
    day: z.string().describe("UTC"),
    model: z.string(),
    calls: Count,
    fallbacks: Count.describe("answered by another model than the first"),
    unanswered: Count.describe("answered by none, or cut"),
    fallback_rate: z.number(),
    main_error: z.string().nullable().describe("what the first model failed with most often"),
  }),
  query: async (db, parameters, mine, now) =>
    await db`
    with call as (
      select call_id, min(started_at) as started_at, (array_agg(model order by attempt_number))[1] as first_model,
        (array_agg(model order by attempt_number) filter (where outcome = 'answered'))[1] as answered_by,
        bool_or(outcome = 'aborted') as aborted,
        (array_agg(error_class order by attempt_number) filter (where error_class is not null))[1] as error_class
      from llm_calls
      where ${mine()} and started_at >= ${since(db, parameters.days, now)}
      group by call_id
    )
    select to_char(started_at at time zone 'utc', 'YYYY-MM-DD') as day, first_model as model, count(*)::int as calls,
      (count(*) filter (where answered_by <> first_model))::int as fallbacks,
      (count(*) filter (where answered_by is null and not aborted))::int as unanswered,
      round((count(*) filter (where answered_by <> first_model))::numeric / count(*), 4)::float8 as fallback_rate,
      mode() within group (order by error_class) as main_error
    from call
    group by 1, 2
    order by 1 desc, fallback_rate desc, 2
    limit ${parameters.limit}
  `,
});

export const llmLatency = report({
  title: "How long each model took for its answers, and for their first token: the half, and 95 of 100.",
  parameters: z.strictObject({ days, limit }),
  row: z.strictObject({
    model: z.string(),
    provider: z.string(),
    attempts: Count,
    answered: Count,
    p50_ms: Milliseconds,
    p95_ms: Milliseconds,
    p50_first_token_ms: Milliseconds,
    p95_first_token_ms: Milliseconds,
  }),
  query: async (db, parameters, mine, now) =>
    await db`
    select model, provider, count(*)::int as attempts, (count(*) filter (where outcome = 'answered'))::int as answered,
      percentile_cont(0.5) within group (order by latency_ms) filter (where outcome = 'answered') as p50_ms,
      percentile_cont(0.95) within group (order by latency_ms) filter (where outcome = 'answered') as p95_ms,
      percentile_cont(0.5) within group (order by first_token_ms) as p50_first_token_ms,
      percentile_cont(0.95) within group (order by first_token_ms) as p95_first_token_ms
    from llm_calls
    where ${mine()} and started_at >= ${since(db, parameters.days, now)}
    group by model, provider
    order by attempts desc, model
    limit ${parameters.limit}
  `,
});

export const llmSpend = report({
  title: "What each agent spent on models, the dearest first.",
  parameters: z.strictObject({ days, limit }),
  row: z.strictObject({
    agent: z.string().nullable().describe("null: calls that named none"),
    calls: Count,
    tokens: z.number().nullable(),
    cost: z.number().nullable().describe("USD, sum of those that are known; null, never 0, where none is"),
    unknown_cost_attempts: Count,
    failed_cost: z.number().nullable().describe("USD of attempts that did not answer"),
  }),
  query: async (db, parameters, mine, now) =>
    await db`
    select agent, count(distinct call_id)::int as calls, sum(input_tokens + output_tokens)::float8 as tokens,
      sum(cost_usd)::float8 as cost, (count(*) filter (where cost_usd is null))::int as unknown_cost_attempts,
      (sum(cost_usd) filter (where outcome <> 'answered'))::float8 as failed_cost
    from llm_calls
    where ${mine()} and started_at >= ${since(db, parameters.days, now)}
    group by agent
    order by cost desc nulls last, agent
    limit ${parameters.limit}
  `,
});
