import postgres from "postgres";
import * as z from "zod";
import { ConfigError, Unavailable } from "../../errors.ts";
import { integer, onLambda, readEnv } from "../env.ts";
import { log } from "../log.ts";
import { isPasswordRefused } from "./db-errors.ts";
import { renewable } from "./pool.ts";
import { socketFactory } from "./socket.ts";

export { isConnectionError } from "./db-errors.ts";

/** What domain code takes: a pool or a transaction. */
export type Db = postgres.ISql<Record<string, never>>;
/** A pool, for code that opens a transaction of its own. */
export type Pool = postgres.Sql<Record<string, never>>;
/** A piece of a statement, to be put into another one. */
export type Fragment = postgres.PendingQuery<postgres.Row[]>;

/** Where the local stack listens; what is used, with a warning, when no DATABASE_URL is given outside Lambda. */
export const LOCAL_DATABASE_URL = "postgres://waybill@127.0.0.1:54329/waybill";

const DatabaseEnv = z.object({
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, "must start with postgres://")
    .refine(isReadable, "cannot be read; write # as %23, / as %2F, @ as %40 and % as %25 in user and password")
    .optional(),
  DATABASE_SECRET_ARN: z.string().optional().describe("its password is asked for at each new connection"),
  DATABASE_POOL_MAX: integer(1, 100, 1),
  DATABASE_PREPARE: z
    .enum(["true", "false"])
    .default("true")
    .describe("false behind a transaction pooler without support"),
  DATABASE_STATEMENT_TIMEOUT_MS: integer(100, 900_000, 25_000),
});

/** Exactly the connection string that is configured, or the documented local one with a warning. */
export function databaseUrl(source?: NodeJS.ProcessEnv): string {
  const { DATABASE_URL } = readEnv(DatabaseEnv, source);
  if (DATABASE_URL !== undefined) return DATABASE_URL;
  if (onLambda(source)) throw new ConfigError("DATABASE_URL is not set. Set it to the database's connection string.");
  log.warn("database url defaulted", { url: LOCAL_DATABASE_URL, todo: "set DATABASE_URL" });
  return LOCAL_DATABASE_URL;
}

/** What a caller may want otherwise than a function needs it. */
type Wishes = Pick<postgres.Options<Record<string, never>>, "max" | "idle_timeout" | "max_lifetime">;

/**
 * Opens a pool; no connection is made until the first query. Functions take one connection each by default. A lost
 * connection is replaced by the wrapper of the entry point; with wishes the pool is the caller's own to look after, for
 * a lock belongs to its session.
 */
export function connect(source?: NodeJS.ProcessEnv, url: string = databaseUrl(source), wishes?: Wishes): Pool {
  const env = readEnv(DatabaseEnv, source);
  const prepare = env.DATABASE_PREPARE === "true";
  const open = (onclose: () => void, error?: unknown) => {
    let password = "";
    let fresh = isPasswordRefused(error) || error instanceof Unavailable;
    const beforeConnecting = async () => {
      if (env.DATABASE_SECRET_ARN === undefined) return;
      password = await databasePassword(env.DATABASE_SECRET_ARN, fresh);
      fresh = false;
    };
    // Spread, because the types do not know this option.
    const sockets = { socket: socketFactory(wishes?.max ?? env.DATABASE_POOL_MAX, beforeConnecting) };
    return postgres(url, {
      max: env.DATABASE_POOL_MAX,
      prepare,
      ...databaseOf(url),
      idle_timeout: 20,
      max_lifetime: 3600,
      connect_timeout: 10,
      // postgres.js waits up to 20 s after failures; whoever calls us tries again sooner.
      backoff: (failures) => Math.min(3 ** failures / 100, 1) * (0.5 + Math.random() / 2),
      onnotice: () => {},
      onclose,
      // Column names only: postgres.camel would rewrite the keys inside jsonb too.
      transform: { column: { from: postgres.toCamel, to: postgres.fromCamel } },
      connection: {
        application_name: "waybill",
        // A transaction pooler refuses settings that it does not know; there the role has to bring it.
        // No JIT: on tables without statistics a claim is planned as dear enough to be compiled, which takes longer than it runs.
        ...(prepare ? { statement_timeout: env.DATABASE_STATEMENT_TIMEOUT_MS, jit: "off" } : {}),
      },
      ...wishes,
      ...(env.DATABASE_SECRET_ARN === undefined ? {} : { password: () => password }),
      ...sockets,
    });
  };
  return wishes === undefined ? renewable(open) : open(() => {});
}

/** postgres.js 3.4 decodes user and password but not the database: a%20b would be another database than for libpq. */
function databaseOf(url: string): { database?: string } {
  const path = /^[^?]*?:\/\/[^/?]*\/([^?]+)/.exec(url)?.[1];
  return path === undefined ? {} : { database: decodeURIComponent(path) };
}

function isReadable(url: string): boolean {
  try {
    postgres(url, databaseOf(url));
    return true;
  } catch {
    return false;
  }
}

/** Accepts a bare password, or the JSON that RDS keeps: {"username": …, "password": …}. */
async function databasePassword(arn: string, fresh: boolean): Promise<string> {
  try {
    // Imported when first needed: loading the SDK's client costs 100 ms, which a function without a secret never pays.
    const { secret } = await import("../aws/secrets.ts");
    const text = await secret(arn, fresh);
    if (!text.startsWith("{")) return text;
    return z.object({ password: z.string() }).parse(JSON.parse(text)).password;
  } catch (cause) {
    const todo = "Store it as text, or as JSON with a password, and allow secretsmanager:GetSecretValue on it.";
    throw new Unavailable(`The database password in ${arn} cannot be read. ${todo}`, { cause });
  }
}
