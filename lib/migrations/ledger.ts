import { type Db, isConnectionError } from "../runtime/postgres/db.ts";
import type { Migration } from "./files.ts";
import type { Applied } from "./plan.ts";

/** "waybill" in ASCII: the advisory lock that every migrator of this database takes. */
const LOCK = "33602696198581356";

const CREATE = `create table if not exists schema_migrations (
  name text constraint schema_migrations_pkey primary key,
  checksum text not null,
  applied_at timestamptz not null default now(),
  duration_ms integer not null
);
comment on table schema_migrations is 'Which migrations are applied; written by the migrator alone';`;

// The ledger goes with its last row, so that everything down leaves the database as it was found.
const DROP_EMPTY = `do $$ begin
  if not exists (select from schema_migrations) then
    drop table schema_migrations;
  end if;
end $$;`;

// A migration that waits for a lock makes every later query on that table wait behind it.
const SETTINGS = "set local lock_timeout = '10s';";

/** Takes the lock if it is free. It belongs to the session, which `backend` names. */
export async function tryLock(db: Db): Promise<{ backend: number; locked: boolean }> {
  // A lock is waited for, and a migration runs, as long as it takes, whatever the role or the connection string say.
  await db`
    select set_config(name, '0', false)
    from unnest(array['statement_timeout', 'lock_timeout', 'idle_session_timeout']) as name
  `;
  const [row] = await db<{ backend: number; locked: boolean }[]>`
    select pg_backend_pid() as backend, pg_try_advisory_lock(${LOCK}::bigint) as locked
  `;
  return row ?? { backend: 0, locked: false };
}

/** Whether somebody has the lock. */
export async function isLocked(db: Db): Promise<boolean> {
  // As pg_locks has the key of a lock that was taken by one bigint: its halves.
  const [row] = await db<{ locked: boolean }[]>`
    select exists (
      select from pg_locks
      where locktype = 'advisory' and objsubid = 1 and granted
        and database = (select oid from pg_database where datname = current_database())
        and (classid::bigint << 32) | objid::bigint = ${LOCK}::bigint
    ) as locked
  `;
  return row?.locked ?? false;
}

/** Waits for the lock. */
export async function waitForLock(db: Db): Promise<void> {
  await db`select pg_advisory_lock(${LOCK}::bigint)`;
}

/** Gives the lock back. A pooler keeps sessions open, so that ending the connection alone would not. */
export async function unlock(db: Db): Promise<void> {
  await db`select pg_advisory_unlock(${LOCK}::bigint)`;
}

/** Whether any migration was ever applied: a database without the ledger has no table of ours. */
export async function hasLedger(db: Db): Promise<boolean> {
  const [ledger] = await db<{ there: boolean }[]>`select to_regclass('schema_migrations') is not null as there`;
  return ledger?.there ?? false;
}

/** What is applied, in order; nothing where there is no ledger yet. */
export async function appliedMigrations(db: Db): Promise<Applied[]> {
  if (!(await hasLedger(db))) return [];
  return await db<Applied[]>`select name, checksum, applied_at, duration_ms from schema_migrations order by name`;
}

/** Runs one migration up or down with its row in the ledger: both or neither. Only the session that has the lock may. */
export async function runMigration(
  db: Db,
  migration: Migration,
  direction: "up" | "down",
  backend: number,
): Promise<void> {
  const ours = `do $$ begin
    if pg_backend_pid() <> ${backend} then raise exception '${NOT_OUR_SESSION}'; end if;
  end $$;\n`;
  try {
    // One message to the server, so that a connection that breaks in between leaves nothing to run outside the transaction.
    await db.unsafe(ours + printMigration(migration, direction));
  } catch (error) {
    if (!isConnectionError(error)) await db.unsafe("rollback");
    throw error;
  }
}

const NOT_OUR_SESSION =
  "the connection changed its session, and so lost the lock: a pooler is in between, or it broke; " +
  "set DATABASE_URL to the database itself, not to its pooler";

/** What is run, as text: what a person may review, and run with psql where nothing else may. */
export function printMigration(migration: Migration, direction: "up" | "down"): string {
  const { name, checksum } = migration;
  const sql = migration[direction].trimEnd();
  const work =
    direction === "up"
      ? [
          CREATE,
          `\n${sql}\n`,
          "insert into schema_migrations (name, checksum, duration_ms)",
          `values ('${name}', '${checksum}', extract(epoch from clock_timestamp() - now()) * 1000);`,
        ]
      : [`\n${sql}\n`, `delete from schema_migrations where name = '${name}';`, DROP_EMPTY];
  const lines = [`-- ${name} ${direction}`, "begin;", `select pg_advisory_xact_lock(${LOCK});`, SETTINGS, ...work];
  return [...lines, "commit;", ""].join("\n");
}

/** Where in the migration's own file an error of runMigration is: its line, or nothing where it is not in the file. */
export function lineOf(error: unknown, sql: string): number | undefined {
  const { query = "", position = "" } = error as { query?: string; position?: string };
  const at = Number.parseInt(position, 10) - 1 - query.indexOf(sql.trimEnd());
  return at >= 0 && at < sql.length ? sql.slice(0, at).split("\n").length : undefined;
}
