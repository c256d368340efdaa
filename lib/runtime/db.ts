import postgres from "postgres";
import * as z from "zod";
import { ConfigError } from "../errors.ts";
import { integer, onLambda, readEnv } from "./env.ts";
import { log } from "./log.ts";

/** What domain code takes: a pool or a transaction. */
export type Db = postgres.ISql<Record<string, never>>;
/** A pool, for code that opens a transaction of its own. */
export type Pool = postgres.Sql<Record<string, never>>;

/** Where the local stack listens; what is used, with a warning, when no DATABASE_URL is given outside Lambda. */
export const LOCAL_DATABASE_URL = "postgres://waybill@127.0.0.1:54329/waybill";

const DatabaseEnv = z.object({
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, "must start with postgres://")
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

/** Opens a pool; no connection is made until the first query. Functions take one connection each by default. */
export function connect(source?: NodeJS.ProcessEnv, url: string = databaseUrl(source), wishes: Wishes = {}): Pool {
  const env = readEnv(DatabaseEnv, source);
  const arn = env.DATABASE_SECRET_ARN;
  return postgres(url, {
    max: env.DATABASE_POOL_MAX,
    prepare: env.DATABASE_PREPARE === "true",
    idle_timeout: 20,
    max_lifetime: 3600,
    connect_timeout: 10,
    onnotice: () => {},
    // Column names only: postgres.camel would rewrite the keys inside jsonb too.
    transform: { column: { from: postgres.toCamel, to: postgres.fromCamel } },
    connection: { application_name: "waybill", statement_timeout: env.DATABASE_STATEMENT_TIMEOUT_MS },
    ...(arn === undefined ? {} : { password: () => databasePassword(arn) }),
    ...wishes,
  });
}

/** Accepts a bare password, or the JSON that RDS keeps: {"username": …, "password": …}. */
async function databasePassword(arn: string): Promise<string> {
  // Imported when first needed: loading the SDK's client costs 100 ms, which a function without a secret never pays.
  const { secret } = await import("./secrets.ts");
  const text = await secret(arn);
  if (!text.startsWith("{")) return text;
  return z.object({ password: z.string() }).parse(JSON.parse(text)).password;
}

/** Whether the database did not answer, as against answering with an error. Retrying the same statement is safe then. */
export function isConnectionError(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && CONNECTION_ERRORS.test(code);
}

// postgres.js's own codes, those of the socket, and SQLSTATE 08 (connection), 57P (shutdown), 53300 (too many).
const CONNECTION_ERRORS =
  /^(CONNECT_TIMEOUT|CONNECTION_(CLOSED|ENDED|DESTROYED)|ECONNREFUSED|ECONNRESET|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|08...|57P0[1-3]|53300)$/;
