import { system } from "../../lib/access/actor.ts";
import { appliedMigrations } from "../../lib/migrations/ledger.ts";
import { routerWarnings } from "../../lib/router/decide/fallback.ts";
import { routerSettings } from "../../lib/router/settings.ts";
import { readQueues } from "../../lib/runtime/aws/queue-env.ts";
import { checkHealth } from "../../lib/runtime/health/check-health.ts";
import { http } from "../../lib/runtime/http/http.ts";
import { getHealth } from "../../lib/runtime/http/routes.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import expected from "../../migrations/names.json" with { type: "json" };

const db = connect();
const { work, results, agents } = readQueues();
const agentQueues = Object.entries(agents).map(([agent, url]) => [`agent.${agent}`, url] as const);
const queues = { work, results, ...Object.fromEntries(agentQueues) };

const fallback = readSettings({ fallbackAgent: routerSettings.fallbackAgent });

const applied = async () => (await appliedMigrations(db)).map(({ name }) => name);
const warnings = async () => await routerWarnings(db, system("health"), fallback);

/** GET /health: 200 where database, queues and migrations are as they must be, 503 with the same body otherwise. */
export const handler = http(getHealth, async () => {
  const health = await checkHealth({ applied, expected, queues, warnings });
  return { status: health.status === "ok" ? 200 : 503, body: health };
});
