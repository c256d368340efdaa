import postgres from "postgres";
import { isConnectionError, type Pool } from "../lib/runtime/postgres/db.ts";
import { Failed } from "../lib/terminal/command.ts";
import { type Edges, onEdges } from "../lib/wiring/edges.ts";
import { runningOver } from "../localstack/parts/data-dir.ts";

/**
 * The environment of a command: this process's; where that names no database, completed by that of the stack that runs over .waybill,
 * whose port is another where the usual one was taken.
 */
export function environmentHere(): NodeJS.ProcessEnv {
  const running = process.env["DATABASE_URL"] ? undefined : runningOver(".waybill");
  return { ...process.env, ...running?.environment };
}

/**
 * What `run` answers over the edges of a command, on the database of the environment, or else on the documented local one. Throws
 * Failed, with what to do, where the database is away or not migrated, or refuses a statement.
 */
export async function onDatabase<T>(run: (edges: Edges) => Promise<T>, env = environmentHere()): Promise<T> {
  let db: Pool | undefined;
  try {
    return await onEdges(async (edges) => {
      db = edges.db;
      return await run(edges);
    }, env);
  } catch (error) {
    throw inWords(error, db && nameOf(db));
  }
}

/** Names a database without its password. */
export function nameOf(db: Pool): string {
  const { host, port, database } = db.options;
  return `${host.join()}:${port.join()}/${database}`;
}

/** An error of the database as Failed, in words for whoever typed the command; any other as it is. */
export function inWords(cause: unknown, name = "DATABASE_URL"): unknown {
  if (isConnectionError(cause)) {
    const todo = "Start the local stack (npm start), or set DATABASE_URL.";
    return new Failed(`The database at ${name} does not answer. ${todo}`, { cause });
  }
  if (!(cause instanceof postgres.PostgresError)) return cause;
  const { code, message } = cause;
  const notMigrated = code === "42P01" || code === "42703" || code === "42704";
  const told = notMigrated ? `The database lacks what this needs: ${message}. Run: npm run migrate` : message;
  return new Failed(told, { cause });
}
