import { appliedMigrations } from "../lib/migrations/ledger.ts";
import { routerWarnings } from "../lib/registry/fallback.ts";
import { RouterSettings } from "../lib/registry/settings.ts";
import { checkHealth } from "../lib/runtime/check-health.ts";
import { connect } from "../lib/runtime/db.ts";
import { readEnv } from "../lib/runtime/env.ts";
import { http } from "../lib/runtime/http.ts";
import { readQueues } from "../lib/runtime/queue-env.ts";
import { getHealth } from "../lib/runtime/routes.ts";
import expected from "../migrations/names.json" with { type: "json" };

const db = connect();
const { work, results, agents } = readQueues();
const agentQueues = Object.entries(agents).map(([agent, url]) => [`agent.${agent}`, url] as const);
const queues = { work, results, ...Object.fromEntries(agentQueues) };

const fallback = readEnv(RouterSettings.pick({ ROUTER_FALLBACK_AGENT: true }));

const applied = async () => (await appliedMigrations(db)).map(({ name }) => name);
const warnings = async () => await routerWarnings(db, fallback);

/** GET /health: 200 where database, queues and migrations are as they must be, 503 with the same body otherwise. */
export const handler = http(getHealth, async () => {
  const health = await checkHealth({ applied, expected, queues, warnings });
  return { status: health.status === "ok" ? 200 : 503, body: health };
});
