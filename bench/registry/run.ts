import { readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { parseArgs } from "node:util";
import { DEFAULT_TEAM, system } from "../../lib/access/actor.ts";
import { appliedMigrations } from "../../lib/migrations/ledger.ts";
import { migrate } from "../../lib/migrations/migrator.ts";
import { findAgents } from "../../lib/registry/queries.ts";
import { findVersions } from "../../lib/registry/versions.ts";
import { findReport } from "../../lib/reports/all.ts";
import { look } from "../../lib/router/decide/agent-states.ts";
import { findDefinitions } from "../../lib/router/snapshot/definitions.ts";
import { connect, type Pool } from "../../lib/runtime/postgres/db.ts";
import { lineOf } from "../../lib/terminal/table.ts";
import { median } from "../measure.ts";
import { startBenchDatabase } from "../postgres.ts";
import { fillRegistry, plantTask } from "./data.ts";
import { withPlans } from "./plans.ts";
import { needs } from "./queries.ts";

/** `npm run bench:registry`: the targets of system C beside what is measured on tables of a million rows each. */
const { values } = parseArgs({
  options: { rows: { type: "string", default: "1000000" }, agents: { type: "string", default: "1000" } },
});
const rows = Number(values.rows);
const agents = Number(values.agents);
if (!(rows >= 1000) || !(agents >= 100)) throw new Error("Usage: npm run bench:registry -- [--rows N] [--agents N]");

const missed: string[] = [];
const database = await startBenchDatabase();
const env = { ...process.env, DATABASE_URL: database.url, DATABASE_STATEMENT_TIMEOUT_MS: "900000" };

console.log(
  `${cpus()[0]?.model ?? "unknown processor"}, ${availableParallelism()} cores; Node ${process.version}; embedded Postgres, fsync on`,
);
console.log(`${rows} decisions, ${rows} events and a fifth, ${agents} agents. Medians of 15, in milliseconds.\n`);
const line = lineOf(-56, 10, 10, 9);
console.log(line("", "measured", "target"));

function tell(what: string, ms: number, target: number): void {
  console.log(line(what, ms.toFixed(1), `< ${target}`, ms < target ? "" : "MISSED"));
  if (ms >= target) missed.push(what);
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await run();
  return performance.now() - started;
}

async function often(run: () => Promise<unknown>): Promise<number> {
  await run();
  const times: number[] = [];
  for (let turn = 0; turn < 15; turn++) times.push(await timed(run));
  return median(times);
}

const db = connect(env);
try {
  const connection = async () => {
    const own = connect(env);
    await own`select 1`;
    await own.end();
  };
  tell(
    "pool start, ten connections",
    await often(async () => {
      const own = connect({ ...env, DATABASE_POOL_MAX: "10" });
      await Promise.all(Array.from({ length: 10 }, () => own`select pg_sleep(0.001)`));
      await own.end();
    }),
    300,
  );
  tell("connection", await often(connection), 50);

  tell("health check of the database", await often(() => appliedMigrations(db)), 100);

  await fillRegistry(db, { definitions: agents, decisions: rows, events: rows });
  const taskId = await plantTask(db);
  const explained = await withPlans(database.url);

  tell("by id: an agent's versions", await often(() => findVersions(db, DEFAULT_TEAM, "agent-7")), 10);
  tell(
    "by id: a decision",
    await often(
      () => db`
    select confidence_score from router_performance_metrics
    where (routed_at, routing_id) = (select routed_at, routing_id from tasks where task_id = ${taskId})
  `,
    ),
    10,
  );
  const moment = { team: DEFAULT_TEAM, queues: [], silentSeconds: 900, inFlight: 10 };
  tell(
    "indexed where: what a decision needs of this moment",
    await often(() => look(db, ["agent-7", "agent-70"], moment)),
    50,
  );
  tell(
    "indexed where: agents by capability",
    await often(() => findAgents(db, system("bench", DEFAULT_TEAM), { active: true, capability: "capability-7" }, 900)),
    50,
  );
  tell("jsonb: all definitions, for the router", await often(() => findDefinitions(db, DEFAULT_TEAM)), 100);
  for (const report of ["router-latency", "router-cache", "routing-accuracy", "agent-performance"]) {
    tell(
      `time series: ${report}, 30 days`,
      await often(() => findReport(report).run(db, system("bench"), { days: "30" })),
      200,
    );
  }
  tell(
    "time series and jsonb: better-alternatives, 7 days",
    await often(() => findReport("better-alternatives").run(db, system("bench"), {})),
    200,
  );

  const needed = lineOf(-48);
  console.log(`\n${needed("index", "needed by")}`);
  for (const { index, query, plan, run } of needs.slice(0, -1)) {
    explained.plans.length = 0;
    await run(explained.db, taskId);
    const used = plan.test(explained.plans.join("\n"));
    if (!used) missed.push(`${index} is not used`);
    console.log(needed(index, query, used ? "" : "   NOT USED"));
  }
  await explained.db.end();

  const ours = await writes(db);
  await db.unsafe(readFileSync(new URL("../sql/system-c-indexes.sql", import.meta.url), "utf8"));
  const theirs = await writes(db);
  console.log(`\n${line("rows a second", "ours", "all of C", "ratio")}`);
  for (const [what, perSecond] of Object.entries(ours)) {
    const full = theirs[what] ?? Number.NaN;
    console.log(line(what, perSecond.toFixed(0), full.toFixed(0), (perSecond / full).toFixed(1)));
  }

  console.log();
  tell(
    "all migrations down, with the data and all of C's indexes",
    await timed(() => migrate({ command: "down", step: 100 }, env)),
    3000,
  );
  tell("all migrations up", await timed(() => migrate({ command: "up" }, env)), 5000);
} finally {
  await db.end();
  await database.stop();
}
if (missed.length > 0) {
  console.error(`\nMissed: ${missed.join("; ")}`);
  process.exitCode = 1;
}

/** What is written again and again, in rows a second: a decision, its outcome, an event, an agent's rates. */
async function writes(pool: Pool): Promise<Record<string, number>> {
  const count = 20_000;
  const perSecond = async (run: () => Promise<unknown>) => (1000 * count) / (await timed(run));
  const inserts = async (table: string, id: string, time: string) =>
    await pool.begin(async (tx) => {
      await tx.unsafe(`create temp table copies on commit drop as
        select * from ${table} where ${time} < now() - interval '40 days' limit ${count}`);
      await tx.unsafe(`update copies set ${id} = gen_random_uuid(), ${time} = now() - random() * interval '1 day'`);
      return await perSecond(() => tx.unsafe(`insert into ${table} select * from copies`));
    });
  const outcome = `
    update router_performance_metrics set actual_quality_score = random(), prediction_error = random(), completed_at = now()
    where (routed_at, routing_id) in (
      select routed_at, routing_id from router_performance_metrics
      where routed_at > now() - interval '1 day' and completed_at is not null limit ${count}
    )`;
  const rates = `
    update agent_definitions set success_rate = random(), quality_score = random(), avg_execution_time_ms = 1000 * random()`;
  const rounds = Math.ceil(count / agents);
  return {
    "decisions inserted": await inserts("router_performance_metrics", "routing_id", "routed_at"),
    "outcomes of decisions": await perSecond(() => pool.unsafe(outcome)),
    "events inserted": await inserts("agent_transformation_events", "event_id", "occurred_at"),
    "rates of agents": await perSecond(async () => {
      for (let round = 0; round < rounds; round++) await pool.unsafe(rates);
    }),
  };
}
