import { afterAll, beforeEach, expect, test } from "vitest";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { buildDecision, type Decision } from "../support/database/routing.ts";
import { ask, daysAgo } from "./ask.ts";

const db = connect();
beforeEach(async () => {
  await db`truncate router_performance_metrics`;
});
afterAll(async () => {
  await db.end();
});

const decision = (given: Decision) => buildDecision(db, given);

test("accuracy holds confidence against quality by tenth, over what has ended within the days", async () => {
  await decision({ confidence_score: 0.7, quality: 1 });
  await decision({ confidence_score: 0.79, quality: 0 });
  await decision({ confidence_score: 0.2, quality: 0.4 });
  await decision({ confidence_score: 1, quality: 1 });
  await decision({ confidence_score: 0.95, quality: 0.95 });
  await decision({ confidence_score: 0.7 });
  await decision({ confidence_score: null, quality: 1 });
  await decision({ confidence_score: 0.7, quality: 1, routed_at: daysAgo(8) });

  const rows = await ask(db, "routing-accuracy");

  // |0.4 - 0.2| of one, |0.5 - 0.745| of two, none of two: (0.2 + 0.49) / 5
  expect(rows).toEqual([
    bucket(0.2, 1, 0.2, 0.4, 1, 0.2, 0.2),
    bucket(0.7, 2, 0.745, 0.5, 0.5, -0.245, 0.545),
    bucket(0.9, 2, 0.975, 0.975, 1, 0, 0),
  ]);
});

function bucket(
  from: number,
  count: number,
  confidence: number,
  quality: number,
  rate: number,
  gap: number,
  error: number,
) {
  return {
    confidence_from: from,
    decisions: count,
    mean_confidence: confidence,
    mean_quality: quality,
    success_rate: rate,
    gap,
    mean_absolute_error: error,
    calibration_error: 0.138,
  };
}

test("latency is told by day in microseconds, with the decisions past the target", async () => {
  for (const total_routing_time_us of [100, 200, 300, 100_001]) await decision({ total_routing_time_us });
  await decision({ routed_at: daysAgo(3), total_routing_time_us: 7, selected_agent: null });

  const rows = await ask(db, "router-latency");

  expect(rows).toMatchObject([
    { decisions: 4, p50_us: 250, max_us: 100_001, over_target: 1 },
    { day: daysAgo(3).toISOString().slice(0, 10), decisions: 1, p50_us: 7, p99_us: 7, over_target: 0 },
  ]);
});

test("the cache's hits are told with their age and what they saved", async () => {
  await decision({ total_routing_time_us: 400 });
  await decision({ total_routing_time_us: 10, cache_age_seconds: 2 });
  await decision({ total_routing_time_us: 20, cache_age_seconds: 5 });
  await decision({ routed_at: daysAgo(2) });

  expect(await ask(db, "router-cache")).toMatchObject([
    { decisions: 3, cache_hits: 2, hit_rate: 0.6667, mean_age_seconds: 3.5, p50_hit_us: 15, p50_miss_us: 400 },
    { decisions: 1, cache_hits: 0, hit_rate: 0, mean_age_seconds: null, p50_hit_us: null, p50_miss_us: 100 },
  ]);
});

test("agents are ordered by success, quality and time; who has ended nothing comes last", async () => {
  await decision({ selected_agent: "slow", quality: 1, ms: 200 });
  await decision({ selected_agent: "quick", quality: 1, ms: 100, feedback: 1 });
  await decision({ selected_agent: "rough", quality: 0.5, ms: 10 });
  await decision({ selected_agent: "weak", quality: 1 });
  await decision({ selected_agent: "weak", quality: 0 });
  await decision({ selected_agent: "new" });
  await decision({ selected_agent: null, confidence_score: null });

  const rows = await ask(db, "agent-performance");

  expect(rows.map(({ agent }) => agent)).toEqual(["quick", "slow", "rough", "weak", "new"]);
  expect(rows[0]).toEqual({
    agent: "quick",
    work_type: "code.run",
    decisions: 1,
    ended: 1,
    success_rate: 1,
    mean_quality: 1,
    mean_confidence: 0.75,
    mean_ms: 100,
    p95_ms: 100,
    feedbacks: 1,
    mean_feedback: 1,
  });
  expect(rows[4]).toMatchObject({ ended: 0, success_rate: null, mean_quality: null, mean_ms: null });
  expect(await ask(db, "agent-performance", { limit: 2 })).toHaveLength(2);
});

test("an alternative would have done better where its own work of that type is better on average", async () => {
  for (let piece = 0; piece < 5; piece++) await decision({ selected_agent: "deft", quality: 0.9 });
  for (let piece = 0; piece < 4; piece++) await decision({ selected_agent: "lucky", quality: 1 });
  for (const quality of [0, 0.5, 1]) await decision({ quality, alternatives: ["deft", "lucky", "unknown"] });
  await decision({ quality: 0, alternatives: ["deft"], work_type: "code.inspect" });
  await decision({ alternatives: ["deft"] });
  for (let piece = 0; piece < 5; piece++) await decision({ selected_agent: "poor", quality: 0.2 });
  await decision({ quality: 0.9, alternatives: ["poor"] });

  expect(await ask(db, "better-alternatives")).toEqual([
    {
      alternative: "deft",
      chosen: "code",
      work_type: "code.run",
      times: 2,
      of: 3,
      mean_quality: 0.5,
      alternative_quality: 0.9,
      gain: 0.4,
    },
  ]);
});
