import type { Db } from "../runtime/db.ts";
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
comment on table schema_migrations is 'Which migrations are applied; written by lib/migrator.ts alone';`;

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

/** Waits for the lock. */
export async function waitForLock(db: Db): Promise<void> {
  await db`select pg_advisory_lock(${LOCK}::bigint)`;
}

/** Gives the lock back. A pooler keeps sessions open, so that ending the connection alone would not. */
export async function unlock(db: Db): Promise<void> {
  await db`select pg_advisory_unlock(${LOCK}::bigint)`;
}

/** The session that runs this transaction: not the one with the lock where the connection was lost or is pooled. */
export async function backendOf(db: Db): Promise<number | undefined> {
  const [row] = await db<{ backend: number }[]>`select pg_backend_pid() as backend`;
  return row?.backend;
}

/** What is applied, in order; nothing where there is no ledger yet. */
export async function appliedMigrations(db: Db): Promise<Applied[]> {
  const [ledger] = await db<{ there: boolean }[]>`select to_regclass('schema_migrations') is not null as there`;
  if (!ledger?.there) return [];
  return await db<Applied[]>`select name, checksum, applied_at, duration_ms from schema_migrations order by name`;
}

/** Runs one migration and writes its row; the caller's transaction makes it both or neither. */
export async function applyMigration(tx: Db, { name, up, checksum }: Migration): Promise<void> {
  const started = performance.now();
  await tx.unsafe(SETTINGS + CREATE);
  await tx.unsafe(up);
  const durationMs = Math.round(performance.now() - started);
  await tx`
    insert into schema_migrations (name, checksum, duration_ms) values (${name}, ${checksum}, ${durationMs})
  `;
}

/** Takes one migration back and deletes its row; the caller's transaction makes it both or neither. */
export async function revertMigration(tx: Db, { name, down }: Migration): Promise<void> {
  await tx.unsafe(SETTINGS);
  await tx.unsafe(down);
  await tx`delete from schema_migrations where name = ${name}`;
  await tx.unsafe(DROP_EMPTY);
}

/** The same as text: what a person may review, and run with psql where nothing else may. */
export function printMigration(migration: Migration, direction: "up" | "down"): string {
  const { name, checksum, up, down } = migration;
  const work =
    direction === "up"
      ? [
          CREATE,
          "",
          up.trim(),
          "",
          `insert into schema_migrations (name, checksum, duration_ms) values ('${name}', '${checksum}', 0);`,
        ]
      : [down.trim(), "", `delete from schema_migrations where name = '${name}';`, DROP_EMPTY];
  const lines = [`-- ${name} ${direction}`, "begin;", `select pg_advisory_xact_lock(${LOCK});`, SETTINGS, ...work];
  return [...lines, "commit;", ""].join("\n");
}
