import type { Db, Fragment } from "../../runtime/postgres/db.ts";
import type { Routed } from "../../work/core/router-seam.ts";

/** A decision with what it took and the hash of what was asked, as router_performance_metrics keeps it. */
export type Metrics = Pick<Routed, "routingId" | "agent" | "routing" | "measured"> & { hash: Uint8Array };

/** Part of the statement that keeps the decision with the work: one row for each row of `decided` (task_id, team_id, routed_at, work_type). */
export function insertMetrics(db: Db, { routingId, agent, routing, hash, measured }: Metrics): Fragment {
  const { parts, confidence, strategy, reason, alternatives } = routing;
  return db`
    insert into router_performance_metrics (
      routing_id, team_id, routed_at, task_id, work_type, request_hash, total_routing_time_us, trigger_confidence, context_confidence,
      capability_confidence, historical_confidence, confidence_score, selected_agent, strategy, reason, alternatives,
      cache_hit, cache_age_seconds
    )
    select ${routingId}::uuid, team_id, routed_at, task_id, work_type, ${hash}::bytea, ${measured.us}::int, ${parts.trigger}::numeric,
      ${parts.context}::numeric, ${parts.capability}::numeric, ${parts.historical}::numeric, ${confidence}::numeric,
      ${agent}::text, ${strategy}::text, ${reason}::text, ${db.json(alternatives)}::jsonb,
      ${measured.cacheAgeSeconds !== null}::boolean, ${measured.cacheAgeSeconds}::numeric
    from decided
  `;
}
