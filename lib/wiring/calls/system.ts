import { appliedMigrations } from "../../migrations/ledger.ts";
import { checkHealth } from "../../runtime/health/check-health.ts";
import type { getHealth } from "../../runtime/http/routes.ts";
import { ensureWritable } from "../../runtime/postgres/writable.ts";
import type { Answers } from "../serve.ts";
import { warningsOf } from "../warnings.ts";

/** 200 where database, queues and migrations (`expected`, by name) are as they must be, 503 with the same body otherwise. */
export function health(expected: readonly string[]): Answers<typeof getHealth> {
  return async (plane, actor) => {
    const { db, settings, edges } = plane;
    const { work, results, agents } = settings.queues;
    const ofAgents = Object.entries(agents).map(([agent, url]) => [`agent.${agent}`, url] as const);
    const found = await checkHealth({
      applied: async () => {
        await ensureWritable(db);
        return (await appliedMigrations(db)).map(({ name }) => name);
      },
      expected,
      queues: { work, results, ...Object.fromEntries(ofAgents) },
      counts: edges.queues.counts,
      warnings: async () => await warningsOf(plane, actor),
    });
    return { status: found.status === "ok" ? 200 : 503, body: found };
  };
}
