// Umzug says what comes next. Lock, transactions and ledger are ours: it has none for Postgres.
import { MigrationError, Umzug } from "umzug";
import * as z from "zod";
import { MigrationFault, Unavailable } from "../errors.ts";
import { log } from "../runtime/log.ts";
import { isConnectionError, type Pool } from "../runtime/postgres/db.ts";
import { readSettings, setting } from "../runtime/settings.ts";
import type { Changed, MigrateCommand, Migrated, Status } from "./command.ts";
import { type Migration, readMigrations } from "./files.ts";
import * as ledger from "./ledger.ts";
import { type Applied, faultsBetween, planDown, planPrint, planUp, type Reach } from "./plan.ts";
import { reach } from "./reach.ts";

export const migrationSettings = {
  folder: setting({
    env: "MIGRATIONS_DIR",
    takes: z.string(),
    default: "migrations",
    says: "Where migrate finds its files.",
  }),
};

/**
 * Migrates the database that `source` configures with the files of MIGRATIONS_DIR: one run at a time however many call,
 * each migration and its row in the ledger in one transaction. Throws a MigrationFault where the files or the database
 * forbid it or a migration fails, Unavailable where the database does not answer three times. sql needs no database.
 */
export async function migrate(command: MigrateCommand, source?: NodeJS.ProcessEnv): Promise<Migrated> {
  const migrations = readMigrations(readSettings(migrationSettings, source).folder);
  const kind = command.command;
  if (kind === "sql") return { command: "sql", sql: print(migrations, command) };
  const db = await reach(source);
  try {
    if (kind === "status") return await status(db, migrations);
    return await locked(db, (backend) => change(db, migrations, backend, kind, command));
  } catch (error) {
    if (!isConnectionError(error)) throw error;
    const todo = "Migrate again: what was finished stays, what was begun is undone.";
    throw new Unavailable(`The connection to the database was lost. ${todo}`, { cause: error });
  } finally {
    await db.end({ timeout: 1 });
  }
}

function print(migrations: Migration[], command: MigrateCommand): string {
  const { direction = "up" } = command;
  const printed = planPrint(migrations, direction, command);
  return printed.map((migration) => ledger.printMigration(migration, direction)).join("\n");
}

async function status(db: Pool, migrations: Migration[]): Promise<Status> {
  const rows = await ledger.appliedMigrations(db);
  const applied = rows.map(({ name, appliedAt, durationMs }) => {
    return { name, applied_at: appliedAt.toISOString(), duration_ms: durationMs };
  });
  const running = await ledger.isLocked(db);
  return {
    command: "status",
    running,
    applied,
    ...standing(migrations, rows),
    faults: faultsBetween(migrations, rows),
  };
}

function standing(migrations: Migration[], applied: Applied[]): { current: string | null; pending: string[] } {
  const done = new Set(applied.map(({ name }) => name));
  return { current: applied.at(-1)?.name ?? null, pending: namesOf(migrations).filter((name) => !done.has(name)) };
}

/** One lock around the whole run. */
async function locked<T>(db: Pool, run: (backend: number) => Promise<T>): Promise<T> {
  const lock = await ledger.tryLock(db);
  if (!lock.locked) {
    log.warn("another migration run waited for");
    await ledger.waitForLock(db);
  }
  let lost = false;
  try {
    return await run(lock.backend);
  } catch (error) {
    lost = isConnectionError(error);
    throw error;
  } finally {
    // A lock is lost with its connection.
    if (!lost) await ledger.unlock(db);
  }
}

async function change(
  db: Pool,
  migrations: Migration[],
  backend: number,
  command: Changed["command"],
  reached: Reach,
): Promise<Changed> {
  const before = await ledger.appliedMigrations(db);
  const faults = faultsBetween(migrations, before);
  if (faults.length > 0) throw new MigrationFault(faults);
  const back = command === "up" ? [] : planDown(migrations, before.length, reached);
  const forth = { up: () => planUp(migrations, before.length, reached), down: () => [], redo: () => back.toReversed() };
  const umzug = umzugOver(db, migrations, backend);
  try {
    const reverted = await umzug.down({ migrations: namesOf(back) });
    const applied = await umzug.up({ migrations: namesOf(forth[command]()) });
    const after = standing(migrations, await ledger.appliedMigrations(db));
    return { command, reverted: namesOf(reverted), applied: namesOf(applied), ...after };
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    if (isConnectionError(error.cause)) throw error.cause;
    throw failure(error, migrations, await ledger.appliedMigrations(db));
  }
}

/** Umzug says which comes next; lock, transactions and ledger are ours, as it has none for Postgres. */
function umzugOver(db: Pool, migrations: Migration[], backend: number): Umzug {
  return new Umzug({
    migrations: migrations.map((migration) => ({
      name: migration.name,
      up: async () => await ledger.runMigration(db, migration, "up", backend),
      down: async () => await ledger.runMigration(db, migration, "down", backend),
    })),
    storage: {
      executed: async () => namesOf(await ledger.appliedMigrations(db)),
      // The rows are written in the migrations' own transactions.
      logMigration: async () => {},
      unlogMigration: async () => {},
    },
    logger: undefined,
  });
}

function failure(error: MigrationError, migrations: Migration[], applied: Applied[]): MigrationFault {
  const { name, direction } = error.migration;
  const cause = error.cause as Error;
  const line = ledger.lineOf(cause, migrations.find((migration) => migration.name === name)?.[direction] ?? "");
  const file = `${name}.${direction}.sql${line === undefined ? "" : `:${line}`}`;
  const stands = `Nothing of it was kept; the database is at ${applied.at(-1)?.name ?? "nothing"}.`;
  return new MigrationFault([`${file} failed: ${cause.message}. ${stands} Mend it and migrate again.`], { cause });
}

function namesOf(of: { name: string }[]): string[] {
  return of.map(({ name }) => name);
}
