import postgres from "postgres";
import * as z from "zod";
import { backoff } from "../../backoff.ts";
import { ConfigError, Unavailable } from "../../errors.ts";
import { whole } from "../../input/whole.ts";
import { onLambda } from "../env.ts";
import { log } from "../log.ts";
import { readSettings, setting, type Values } from "../settings.ts";
import { arrayTypes } from "./arrays.ts";
import { isPasswordRefused } from "./db-errors.ts";
import { lasting, type Opened, renewable } from "./pool.ts";
import { socketsOf } from "./socket.ts";
import { tlsFault, tlsOf } from "./tls.ts";

export { isConnectionError, isTlsRefused } from "./db-errors.ts";

/** What domain code takes: a pool or a transaction. */
export type Db = postgres.ISql<Record<string, never>>;
/** A pool, for code that opens a transaction of its own. */
export type Pool = postgres.Sql<Record<string, never>>;
/** A piece of a statement, to be put into another one. */
export type Fragment = postgres.PendingQuery<postgres.Row[]>;

/** Where the local stack listens; what is used, with a warning, when no DATABASE_URL is given outside Lambda. */
export const LOCAL_DATABASE_URL = "postgres://waybill@127.0.0.1:54329/waybill";

/** How the database is reached. */
export const databaseSettings = {
  url: setting({
    env: "DATABASE_URL",
    takes: z
      .string()
      .regex(/^postgres(ql)?:\/\//, "must start with postgres://")
      .refine(hasNoEmptyPort, "has a colon without a port behind its host; write host:5432, or the host alone")
      .refine(isReadable, "cannot be read; write # as %23, / as %2F, @ as %40 and % as %25 in user and password")
      .superRefine((url, context) => {
        const fault = tlsFault(url);
        if (fault !== undefined) context.addIssue(fault);
      }),
    optional: true,
    otherwise: LOCAL_DATABASE_URL,
    says: "Connection string; sslmode is as for libpq, plain text where it is left out, and must be given on Lambda. The default is what `npm start` listens on, used with a warning; on Lambda there is none. With docker compose: postgres://waybill:waybill@127.0.0.1:54329/waybill",
  }),
  ca: setting({
    env: "DATABASE_CA",
    takes: z.string(),
    optional: true,
    example: "/var/runtime/ca-cert.pem",
    says: "File with the PEM certificates that may sign the database's, in place of those that Node knows. It takes sslmode=verify-full in DATABASE_URL, and stands for libpq's sslrootcert.",
  }),
  secretArn: setting({
    env: "DATABASE_SECRET_ARN",
    takes: z.string(),
    optional: true,
    says: "Secrets Manager secret with the password, bare or as RDS's JSON; asked for again when it is refused, so it rotates by itself.",
  }),
  poolMax: setting({
    env: "DATABASE_POOL_MAX",
    takes: whole(1, 100),
    default: "1",
    unit: "connections",
    says: "The most that one function instance has open to the database.",
  }),
  prepare: setting({
    env: "DATABASE_PREPARE",
    takes: z.enum(["true", "false"]).transform((word) => word === "true"),
    default: "true",
    says: "`false` behind a transaction pooler that keeps no prepared statements.",
  }),
  statementTimeoutMs: setting({
    env: "DATABASE_STATEMENT_TIMEOUT_MS",
    takes: whole(100, 900_000),
    default: "25000",
    unit: "milliseconds",
    says: "The longest that one statement may take.",
  }),
  lockTimeoutMs: setting({
    env: "DATABASE_LOCK_TIMEOUT_MS",
    takes: whole(10, 900_000),
    default: "5000",
    unit: "milliseconds",
    says: "The longest that a statement may wait for a lock that somebody else has.",
  }),
};

/** Exactly the connection string that is configured, or the documented local one with a warning. */
export function databaseUrl(source?: NodeJS.ProcessEnv): string {
  return urlOf(readSettings(databaseSettings, source), source);
}

function urlOf({ url }: Values<typeof databaseSettings>, source?: NodeJS.ProcessEnv): string {
  if (url !== undefined) return url;
  if (onLambda(source)) throw new ConfigError("DATABASE_URL is not set. Set it to the database's connection string.");
  log.warn("database url defaulted", { url: LOCAL_DATABASE_URL, todo: "set DATABASE_URL" });
  return LOCAL_DATABASE_URL;
}

/** What a caller may want otherwise than a function needs it. `patient`: its statements may take as long as they take. */
type Wishes = Pick<postgres.Options<Record<string, never>>, "max" | "idle_timeout" | "max_lifetime"> & {
  patient?: boolean;
};

/** How long nothing may come after the server should have ended a statement; then the connection is dead. */
const SILENCE_MS = 5_000;

/**
 * What every session tells the server, so that one whose client is gone without a word holds no lock for long. A transaction that says
 * nothing for ten seconds has nobody any more: none of ours waits for anything but the database.
 */
const SESSION = {
  // No JIT: on tables without statistics a claim is planned as dear enough to be compiled, which takes longer than it runs.
  jit: "off",
  idle_in_transaction_session_timeout: 10_000,
  tcp_keepalives_idle: 10,
  tcp_keepalives_interval: 5,
  tcp_keepalives_count: 3,
  tcp_user_timeout: 25_000,
};

/**
 * Opens a pool; no connection is made until the first query. Functions take one connection each by default. A lost
 * connection is replaced by the wrapper of the entry point; with wishes the pool is the caller's own to look after, for
 * a lock belongs to its session.
 */
export function connect(source?: NodeJS.ProcessEnv, address?: string, wishes?: Wishes): Pool {
  const settings = readSettings(databaseSettings, source);
  const { secretArn, poolMax, prepare, statementTimeoutMs, lockTimeoutMs } = settings;
  const url = address ?? urlOf(settings, source);
  const tls = tlsOf(url, settings.ca, onLambda(source));
  const { patient = false, ...wished } = wishes ?? {};
  const open = (onclose: () => void, error?: unknown): Opened => {
    let password = "";
    let fresh = isPasswordRefused(error) || error instanceof Unavailable;
    const beforeConnecting = async () => {
      if (secretArn === undefined) return;
      password = await databasePassword(secretArn, fresh);
      fresh = false;
    };
    const silenceMs = patient ? 0 : statementTimeoutMs + SILENCE_MS;
    const sockets = socketsOf(wishes?.max ?? poolMax, silenceMs, beforeConnecting, tls);
    // Spread as an object: the types do not know `socket`, and would make `types` a part of what a pool is.
    const untyped: object = { socket: sockets.open, types: arrayTypes, ssl: false };
    const sql = postgres(url, {
      max: poolMax,
      prepare,
      fetch_types: false,
      ...databaseOf(url),
      idle_timeout: 20,
      max_lifetime: 3600,
      connect_timeout: 10,
      keep_alive: 10,
      // postgres.js waits up to 20 s after failures; whoever calls us tries again sooner.
      backoff: (failures) => backoff(failures, { first: 0.01, most: 1 }, 0.5, Math.random()),
      onnotice: () => {},
      onclose,
      // Column names only: postgres.camel would rewrite the keys inside jsonb too.
      transform: { column: { from: postgres.toCamel, to: postgres.fromCamel } },
      connection: {
        application_name: "waybill",
        // A transaction pooler refuses settings that it does not know; there the role has to bring them.
        ...(prepare ? { ...SESSION, statement_timeout: statementTimeoutMs, lock_timeout: lockTimeoutMs } : {}),
      },
      ...wished,
      ...(secretArn === undefined ? {} : { password: () => password }),
      ...untyped,
    });
    return { sql, destroy: sockets.destroy };
  };
  return wishes === undefined ? renewable(open) : lasting(open(() => {}));
}

/** postgres.js 3.4 decodes user and password but not the database: a%20b would be another database than for libpq. */
function databaseOf(url: string): { database?: string } {
  const path = /^[^?]*?:\/\/[^/?]*\/([^?]+)/.exec(url)?.[1];
  return path === undefined ? {} : { database: decodeURIComponent(path) };
}

/** postgres.js would take 5432 for it, silently: whoever writes host:$PORT without PORT means another. */
export function hasNoEmptyPort(url: string): boolean {
  const [, authority = ""] = /^[^/]*\/\/([^/?]*)/.exec(url) ?? [];
  const hosts = authority.slice(authority.lastIndexOf("@") + 1).split(",");
  return !hosts.some((host) => host.endsWith(":"));
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
