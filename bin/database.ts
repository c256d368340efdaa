import postgres from "postgres";
import { CallerError, ConfigError, Unavailable } from "../lib/errors.ts";
import { connect, isConnectionError, type Pool } from "../lib/runtime/postgres/db.ts";
import { runningOver } from "../localstack/parts/data-dir.ts";

/** The database could not be used as the command needs it; the message is for the person who typed it. */
const EXPECTED = [CallerError, ConfigError, Unavailable, postgres.PostgresError];

/**
 * Runs a command on the database of DATABASE_URL; where that is not set on that of the stack that runs over .waybill, whose port
 * is another where the usual one was taken, or else on the documented local one. Answers the exit code: 1 with what to do on
 * stderr where the database is away or not migrated, or the command was asked for what it cannot do.
 */
export async function onDatabase(run: (db: Pool) => Promise<void>): Promise<number> {
  let db: Pool | undefined;
  try {
    const url = process.env["DATABASE_URL"] || runningOver(".waybill")?.environment["DATABASE_URL"];
    db = connect(process.env, url, { max: 1 });
    await run(db);
    return 0;
  } catch (error) {
    const message = explain(error, db);
    if (message === undefined) throw error;
    console.error(message);
    return 1;
  } finally {
    await db?.end({ timeout: 1 });
  }
}

/** Names a database without its password. */
export function nameOf(db: Pool): string {
  const { host, port, database } = db.options;
  return `${host.join()}:${port.join()}/${database}`;
}

function explain(error: unknown, db: Pool | undefined): string | undefined {
  if (isConnectionError(error) && db !== undefined) {
    return `The database at ${nameOf(db)} does not answer. Start the local stack (npm start), or set DATABASE_URL.`;
  }
  if (!EXPECTED.some((kind) => error instanceof kind)) return undefined;
  const { message, code } = error as Error & { code?: string };
  const notMigrated = code === "42P01" || code === "42703" || code === "42704";
  return notMigrated ? `The database lacks what this needs: ${message}. Run: npm run migrate` : message;
}
