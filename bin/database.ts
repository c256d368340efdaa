import postgres from "postgres";
import type { Queues } from "../lib/runtime/aws/queues.ts";
import { isConnectionError, type Pool } from "../lib/runtime/postgres/db.ts";
import { Failed } from "../lib/terminal/command.ts";
import { onPlane } from "../lib/wiring/command-plane.ts";
import type { ControlPlane } from "../lib/wiring/control-plane.ts";
import { type Running, runningOver } from "../localstack/parts/data-dir.ts";

/** The stack that runs over .waybill, for a command whose environment names no database; undefined where there is none. */
export function stackHere(): Running | undefined {
  return process.env["DATABASE_URL"] ? undefined : runningOver(".waybill");
}

/**
 * The environment of a command: this process's; where that names no database, completed by that of the stack that runs over .waybill,
 * whose port is another where the usual one was taken.
 */
export function environmentHere(): NodeJS.ProcessEnv {
  return { ...process.env, ...stackHere()?.environment };
}

/**
 * What `run` answers with the control plane of a command, on the database of the environment, or else on the documented local one. Throws
 * Failed, with what to do, where the database is away or not migrated, or refuses a statement.
 */
export async function onDatabase<T>(
  run: (plane: ControlPlane) => Promise<T>,
  { source = environmentHere(), queues }: { source?: NodeJS.ProcessEnv; queues?: Queues } = {},
): Promise<T> {
  let db: Pool | undefined;
  try {
    const kept = async (plane: ControlPlane) => {
      db = plane.db;
      return await run(plane);
    };
    return await onPlane(kept, { source, queues });
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
