import { afterAll, beforeAll, expect, test } from "vitest";
import { fillRegistry, plantTask } from "../../bench/registry/data.ts";
import { withPlans } from "../../bench/registry/plans.ts";
import { needs } from "../../bench/registry/queries.ts";
import { migrate } from "../../lib/migrations/migrator.ts";
import { connect, type Pool } from "../../lib/runtime/postgres/db.ts";
import { databases } from "../migrations/servers.ts";

// A tenth of what bench:registry measures: Postgres plans the same from here on. Of agents there are more than anybody has.
const AMOUNTS = { definitions: 20_000, decisions: 100_000, events: 80_000 };

const fresh = databases();
let db: Pool;
let explained: Awaited<ReturnType<typeof withPlans>>;
let taskId: string;

beforeAll(async () => {
  const env = await fresh({ DATABASE_STATEMENT_TIMEOUT_MS: "600000" });
  await migrate({ command: "up" }, env);
  db = connect(env);
  await fillRegistry(db, AMOUNTS);
  taskId = await plantTask(db);
  explained = await withPlans(env.DATABASE_URL);
}, 600_000);

afterAll(async () => {
  await explained.db.end();
  await db.end();
});

test("every index of the three tables is needed by a query of ours", async () => {
  const rows = await db<{ name: string }[]>`
    select indexrelid::regclass::text as name from pg_index
    where indrelid in (
      'agent_definitions'::regclass, 'router_performance_metrics'::regclass, 'agent_transformation_events'::regclass
    ) order by 1
  `;
  expect([...new Set(needs.map(({ index }) => index))].toSorted()).toEqual(rows.map(({ name }) => name));
});

test("there are as many rows as it is about", async () => {
  const [counts] = await db`
    select (select count(*)::int from router_performance_metrics) as decisions,
      (select count(*)::int from agent_transformation_events) as events
  `;
  expect(counts?.["decisions"]).toBe(AMOUNTS.decisions);
  // One handover in five has another one nested under it.
  expect(counts?.["events"]).toBeGreaterThan(94_000);
});

test.each(needs.map((need) => [need.query, need.index, need] as const))("%s uses %s", async (_query, _index, need) => {
  explained.plans.length = 0;
  await need.run(explained.db, taskId);
  expect(explained.plans.join("\n")).toMatch(need.plan);
});
