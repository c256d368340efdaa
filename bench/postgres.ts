import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { migrate } from "../lib/migrations/migrator.ts";
import { prepareDatabase } from "../lib/wiring/database.ts";
import { freePort } from "../localstack/parts/ports.ts";
import { startPostgres } from "../localstack/parts/postgres.ts";

/** A migrated, durable database of its own, gone after `stop`. Everything of one run is measured against it. */
export async function startBenchDatabase(): Promise<{ url: string; stop: () => Promise<void> }> {
  const dir = mkdtempSync(join(tmpdir(), "waybill-bench-"));
  const server = await startPostgres({ dataDir: join(dir, "postgres"), port: await freePort() });
  const admin = postgres(server.url("postgres"), { max: 1, onnotice: () => {} });
  await admin`create database bench`;
  await admin.end();
  const url = server.url("bench");
  await migrate({ command: "up" }, { ...process.env, DATABASE_URL: url });
  await prepareDatabase({ ...process.env, DATABASE_URL: url });
  await keepPresent(url);
  return {
    url,
    stop: async () => {
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** The agents of this database, as if a process of each were there for as long as anybody measures or tests. */
export async function keepPresent(url: string): Promise<void> {
  const sql = postgres(url, { max: 1 });
  await sql`
    insert into agent_presence (agent_name, seen_at)
    select agent_name, now() + interval '1 day' from agent_definitions where active
  `;
  await sql.end();
}

/** Where pgbench is, or undefined: it comes with PostgreSQL, not with npm. */
export function findPgbench(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(":");
  const versions = existsSync("/usr/lib/postgresql") ? readdirSync("/usr/lib/postgresql").toSorted().toReversed() : [];
  const all = [...folders, ...versions.map((version) => `/usr/lib/postgresql/${version}/bin`)];
  return all.map((folder) => join(folder, "pgbench")).find((path) => existsSync(path));
}

/** Transactions per second of one script, by pgbench. */
export function pgbench(
  program: string,
  url: string,
  script: string,
  { clients, seconds, batch = 1 }: { clients: number; seconds: number; batch?: number },
): number {
  const { hostname, port, username, pathname } = new URL(url);
  const output = execFileSync(
    program,
    `-n -M prepared -h ${hostname} -p ${port} -U ${username} -c ${clients} -j ${Math.min(2, clients)} -T ${seconds}`
      .split(" ")
      .concat("-D", `batch=${batch}`, "-f", join(import.meta.dirname, "sql", script), pathname.slice(1)),
    { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] },
  );
  const tps = /tps = ([\d.]+)/.exec(output)?.[1];
  if (tps === undefined || !output.includes("number of failed transactions: 0"))
    throw new Error(`pgbench said:\n${output}`);
  return Number(tps);
}

/** Empties the tables between measurements, so that each starts alike. */
export async function emptyTables(url: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  // And with the tasks all that is kept of them.
  await sql`
    truncate tasks, router_performance_metrics, agent_transformation_events, agent_performance, agent_rate cascade
  `;
  await sql`checkpoint`;
  await sql.end();
}
