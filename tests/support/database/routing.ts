import { randomUUID } from "node:crypto";
import type { Db } from "../../../lib/runtime/postgres/db.ts";

/** What a test wants of a decision; `quality` ends its work. */
export type Decision = {
  routed_at?: Date;
  selected_agent?: string | null;
  work_type?: string;
  confidence_score?: number | null;
  quality?: number;
  ms?: number;
  total_routing_time_us?: number;
  cache_age_seconds?: number;
  alternatives?: string[];
  feedback?: number;
};

/** One decision of the router, as it is kept. */
export async function buildDecision(db: Db, given: Decision = {}): Promise<void> {
  const { quality, feedback, selected_agent = "code", confidence_score = 0.75 } = given;
  const ended = quality !== undefined;
  const row = {
    routing_id: randomUUID(),
    routed_at: given.routed_at ?? new Date(Date.now() - 300_000),
    task_id: randomUUID(),
    request_hash: Buffer.alloc(32),
    work_type: given.work_type ?? "code.run",
    total_routing_time_us: given.total_routing_time_us ?? 100,
    confidence_score,
    selected_agent,
    strategy: selected_agent === null ? "none" : "scored",
    reason: "a test",
    alternatives: db.json((given.alternatives ?? []).map((agent) => ({ agent, confidence: 0.5 }))),
    cache_hit: given.cache_age_seconds !== undefined,
    cache_age_seconds: given.cache_age_seconds ?? null,
    succeeded: ended ? quality > 0 : null,
    actual_quality_score: quality ?? null,
    prediction_error: ended && confidence_score !== null ? quality - confidence_score : null,
    execution_time_ms: given.ms ?? null,
    completed_at: ended ? new Date() : null,
    feedback_score: feedback ?? null,
    feedback_by: feedback === undefined ? null : "ada",
    feedback_at: feedback === undefined ? null : new Date(),
  };
  await db`insert into router_performance_metrics ${db(row)}`;
}
