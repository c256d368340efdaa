import * as z from "zod";
import type { Db } from "../runtime/postgres/db.ts";
import { Count, days, limit, Milliseconds, Rate, report, since } from "./report.ts";

// What the router decided and what came of it: table router_performance_metrics, a row a decision.

const Score = z.number().min(0).max(1).nullable();
const Microseconds = z.number().describe("microseconds");

/** How often an alternative must have done work of one type itself before it is held against the one that was chosen. */
const ENOUGH = 5;

export const routingAccuracy = report({
  title: "What the router's confidence was worth: by tenth of confidence, the quality that the work then had.",
  parameters: z.strictObject({ days }),
  row: z.strictObject({
    confidence_from: z.number().describe("this and the next tenth exclusive; the last one inclusive"),
    decisions: Count.describe("of which the work has ended, completed or failed"),
    mean_confidence: z.number(),
    mean_quality: z.number().describe("a person's feedback where there is one"),
    success_rate: Rate,
    gap: z.number().describe("mean_quality - mean_confidence: above 0 the router was too modest"),
    mean_absolute_error: z.number().describe("of single decisions"),
    calibration_error: z.number().describe("of the whole report: the gaps without sign, weighted by decisions"),
  }),
  query: async (db, parameters, mine, now) =>
    await db`
    with bucket as (
      select least(floor(confidence_score * 10), 9)::int as tenth, count(*) as decisions,
        avg(confidence_score) as confidence, avg(actual_quality_score) as quality,
        avg(succeeded::int) as success_rate, avg(abs(prediction_error)) as absolute_error
      from router_performance_metrics
      where ${mine()} and routed_at >= ${since(db, parameters.days, now)} and actual_quality_score is not null
        and confidence_score is not null
      group by 1
    )
    select tenth / 10.0::float8 as confidence_from, decisions::int as decisions, round(confidence, 4)::float8 as mean_confidence,
      round(quality, 4)::float8 as mean_quality, round(success_rate, 4)::float8 as success_rate,
      round(quality - confidence, 4)::float8 as gap, round(absolute_error, 4)::float8 as mean_absolute_error,
      round(sum(decisions * abs(quality - confidence)) over () / sum(decisions) over (), 4)::float8 as calibration_error
    from bucket order by tenth
  `,
});

export const routerLatency = report({
  title: "How long the router took to decide, by day.",
  parameters: z.strictObject({ days }),
  row: z.strictObject({
    day: z.string().describe("UTC"),
    decisions: Count,
    p50_us: Microseconds,
    p95_us: Microseconds,
    p99_us: Microseconds,
    max_us: Microseconds,
    over_target: Count.describe("the target is under 100 ms"),
  }),
  query: async (db, parameters, mine, now) =>
    await db`
    select ${day(db)} as day, count(*)::int as decisions,
      round((percentile_cont(0.5) within group (order by total_routing_time_us))::numeric, 1)::float8 as p50_us,
      round((percentile_cont(0.95) within group (order by total_routing_time_us))::numeric, 1)::float8 as p95_us,
      round((percentile_cont(0.99) within group (order by total_routing_time_us))::numeric, 1)::float8 as p99_us,
      max(total_routing_time_us)::float8 as max_us,
      (count(*) filter (where total_routing_time_us > 100000))::int as over_target
    from router_performance_metrics
    where ${mine()} and routed_at >= ${since(db, parameters.days, now)}
    group by 1 order by 1 desc
  `,
});

export const routerCache = report({
  title: "How often the router had already scored the same request, by day.",
  parameters: z.strictObject({ days }),
  row: z.strictObject({
    day: z.string().describe("UTC"),
    decisions: Count,
    cache_hits: Count,
    hit_rate: z.number().min(0).max(1),
    mean_age_seconds: z.number().nullable().describe("of what was found"),
    p50_hit_us: Microseconds.nullable(),
    p50_miss_us: Microseconds.nullable(),
  }),
  query: async (db, parameters, mine, now) =>
    await db`
    select ${day(db)} as day, count(*)::int as decisions, (count(*) filter (where cache_hit))::int as cache_hits,
      round(avg(cache_hit::int), 4)::float8 as hit_rate, round(avg(cache_age_seconds), 3)::float8 as mean_age_seconds,
      round((percentile_cont(0.5) within group (order by total_routing_time_us) filter (where cache_hit))::numeric, 1)::float8 as p50_hit_us,
      round((percentile_cont(0.5) within group (order by total_routing_time_us) filter (where not cache_hit))::numeric, 1)::float8 as p50_miss_us
    from router_performance_metrics
    where ${mine()} and routed_at >= ${since(db, parameters.days, now)}
    group by 1 order by 1 desc
  `,
});

export const agentPerformance = report({
  title: "The agents that the router chose, the most successful first, then by quality, then by time.",
  parameters: z.strictObject({ days, limit }),
  row: z.strictObject({
    agent: z.string(),
    work_type: z.string(),
    decisions: Count,
    ended: Count,
    success_rate: Rate,
    mean_quality: Score,
    mean_confidence: Score,
    mean_ms: Milliseconds.nullable(),
    p95_ms: Milliseconds.nullable(),
    feedbacks: Count,
    mean_feedback: Score,
  }),
  query: async (db, parameters, mine, now) =>
    await db`
    select selected_agent as agent, work_type, count(*)::int as decisions, count(succeeded)::int as ended,
      round(avg(succeeded::int), 4)::float8 as success_rate, round(avg(actual_quality_score), 4)::float8 as mean_quality,
      round(avg(confidence_score), 4)::float8 as mean_confidence, round(avg(execution_time_ms), 1)::float8 as mean_ms,
      round((percentile_cont(0.95) within group (order by execution_time_ms))::numeric, 1)::float8 as p95_ms,
      count(feedback_score)::int as feedbacks, round(avg(feedback_score), 4)::float8 as mean_feedback
    from router_performance_metrics
    where ${mine()} and routed_at >= ${since(db, parameters.days, now)} and selected_agent is not null
    group by selected_agent, work_type
    order by success_rate desc nulls last, mean_quality desc nulls last, mean_ms nulls last, agent, work_type
    limit ${parameters.limit}
  `,
});

export const betterAlternatives = report({
  title: "Alternatives that were passed by, and do work of that type better than the agent that was chosen.",
  parameters: z.strictObject({ days, limit }),
  row: z.strictObject({
    alternative: z.string(),
    chosen: z.string(),
    work_type: z.string(),
    times: Count.describe("the work had a lower quality than the alternative's own work of that type has on average"),
    of: Count.describe("decisions for the chosen one that named the alternative, of which the work has ended"),
    mean_quality: z.number().describe("of the work in those decisions"),
    alternative_quality: z.number().describe(`mean over its own work of that type, ${ENOUGH} pieces at least`),
    gain: z.number().describe("alternative_quality - mean_quality"),
  }),
  query: async (db, parameters, mine, now) =>
    await db`
    with ended as materialized (
      select selected_agent, work_type, actual_quality_score as quality, alternatives
      from router_performance_metrics
      where ${mine()} and routed_at >= ${since(db, parameters.days, now)} and actual_quality_score is not null
        and selected_agent is not null
    ), own as materialized (
      select selected_agent as agent, work_type, avg(quality) as quality from ended
      group by selected_agent, work_type having count(*) >= ${ENOUGH}
    )
    select own.agent as alternative, ended.selected_agent as chosen, ended.work_type,
      (count(*) filter (where ended.quality < own.quality))::int as times, count(*)::int as of,
      round(avg(ended.quality), 4)::float8 as mean_quality, round(own.quality, 4)::float8 as alternative_quality,
      round(own.quality - avg(ended.quality), 4)::float8 as gain
    from ended
    cross join lateral jsonb_array_elements(ended.alternatives) as alternative (entry)
    join own on own.agent = alternative.entry ->> 'agent' and own.work_type = ended.work_type
    where own.agent <> ended.selected_agent
    group by own.agent, own.quality, ended.selected_agent, ended.work_type
    having avg(ended.quality) < own.quality
    order by times desc, gain desc, alternative, chosen, work_type
    limit ${parameters.limit}
  `,
});

function day(db: Db) {
  return db`to_char(routed_at at time zone 'utc', 'YYYY-MM-DD')`;
}
