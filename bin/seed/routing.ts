import { insertMetrics, type Metrics } from "../../lib/router/decide/metrics.ts";
import { uuidOf } from "../../lib/runtime/ids.ts";
import type { Db } from "../../lib/runtime/postgres/db.ts";
import type { Story } from "./stories.ts";

/** What the router would have said of a sample task: the same each time, made of its key. */
export function routingOf(story: Story): Metrics {
  const hash = Buffer.from(uuidOf(`waybill sample ${story.key} routing`).replaceAll("-", ""), "hex");
  const share = (position: number, from: number, to: number) =>
    Math.round((from + ((to - from) * (hash[position] ?? 0)) / 255) * 10_000) / 10_000;
  const parts = { trigger: share(0, 0.35, 0.95), context: 0.5, capability: 1, historical: share(1, 0.42, 0.71) };
  const confidence = 0.4 * parts.trigger + 0.3 * parts.context + 0.2 * parts.capability + 0.1 * parts.historical;
  return {
    routingId: uuidOf(`waybill sample ${story.key} decision`),
    agent: story.agent,
    routing: {
      strategy: "work_type",
      confidence: Math.round(confidence * 10_000) / 10_000,
      parts,
      reason: `${story.agent} alone names the work type ${story.work_type}.`,
      alternatives: [],
    },
    hash,
    measured: { us: 280 + (hash[2] ?? 0) * 4, cacheAgeSeconds: null },
  };
}

/** Keeps the decision of a task that was just written. */
export async function insertRouting(db: Db, taskId: string, metrics: Metrics): Promise<void> {
  await db`
    with decided as (select task_id, team_id, routed_at, work_type from tasks where task_id = ${taskId})
    ${insertMetrics(db, metrics)}
  `;
}
