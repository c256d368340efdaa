import { setTimeout as sleep } from "node:timers/promises";
import { backoff } from "../backoff.ts";
import { ConfigError, Unavailable } from "../errors.ts";
import { log } from "../runtime/log.ts";
import { connect, databaseUrl, isConnectionError, isTlsRefused, type Pool } from "../runtime/postgres/db.ts";
import { isPasswordRefused } from "../runtime/postgres/db-errors.ts";

const TRIES = 3;

/**
 * Connects to the database that `source` configures, by one connection that is neither recycled nor one of several: a
 * lock belongs to its session. Throws Unavailable after three tries without an answer, ConfigError where it refuses us.
 */
export async function reach(source?: NodeJS.ProcessEnv): Promise<Pool> {
  const url = databaseUrl(source);
  const database = nameOf(url);
  for (let tries = 1; ; tries++) {
    const db = connect(source, url, { max: 1, idle_timeout: 0, max_lifetime: null, patient: true });
    try {
      await db`select 1`;
      return db;
    } catch (error) {
      await db.end({ timeout: 0 });
      const reason = reasonOf(error);
      if (isTlsRefused(error)) throw new ConfigError(reason, { cause: error });
      if (!isConnectionError(error)) {
        throw new ConfigError(`The database ${database} refused us: ${reason}. ${todo(error)}`, { cause: error });
      }
      if (tries === TRIES) {
        const text = `The database ${database} did not answer in ${TRIES} tries (${reason}). Start it, or mend DATABASE_URL.`;
        throw new Unavailable(text, { cause: error });
      }
      const wait_ms = Math.round(backoff(tries - 1, { first: 1_000, most: 4_000 }, 0.5, Math.random()));
      log.warn("database not reached", { database, tries, wait_ms, reason });
      await sleep(wait_ms);
    }
  }
}

/** The database that `source` configures, as a connection string without user, password and parameters. */
export function databaseName(source?: NodeJS.ProcessEnv): string {
  return nameOf(databaseUrl(source));
}

function nameOf(url: string): string {
  return url.replace(/\/\/.*@/, "//").replace(/\?.*/, "");
}

function todo(error: unknown): string {
  if (!isPasswordRefused(error)) return "Mend DATABASE_URL.";
  return (
    "Mend the password, in DATABASE_URL or in the secret that DATABASE_SECRET_ARN names. A database keeps the one that it was made " +
    "with, a container's volume too; to give it another: alter role NAME password 'NEW' (docs/compose.md#passwords)."
  );
}

/** An AggregateError (one host, several addresses) has no message of its own. */
function reasonOf(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string };
  return message || code || String(error);
}
