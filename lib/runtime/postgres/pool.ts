// Own while postgres.js 3.4 is the driver: it may keep a lost connection as one that is busy for ever, and ends the process where an
// error closes a transaction. Each case was reproduced through a proxy (tests/runtime/postgres/pool.test.ts).
import type postgres from "postgres";
import { within } from "../../time.ts";
import { log } from "../log.ts";
import { closesTransaction, isConnectionError, isPasswordRefused } from "./db-errors.ts";

type Sql = postgres.Sql<Record<string, never>>;

/** A pool used this recently is good; after a longer pause (Lambda freezes between calls) its sockets may be dead. */
const TRUSTED_MS = 10_000;
/** How long a connection that was open may take to answer, and a new one to be made. */
const PING_MS = 500;
const CONNECT_MS = 3_000;

type Renewable = {
  provenAt: number;
  transactions: number;
  ping: () => Promise<unknown>;
  renew: (error: unknown) => void;
};

const renewables = new Set<Renewable>();
let callsInProgress = 0;

/**
 * A pool that is replaced whole when a connection of it is lost: postgres.js 3.4 may keep a lost connection as one that
 * is busy for ever. `open` makes a pool, after `error` where there was one, and calls `onclose` when a connection of it ends.
 */
export function renewable(open: (onclose: () => void, error?: unknown) => Sql): Sql {
  const onclose = () => {
    self.provenAt = 0;
  };
  let pool = open(onclose);
  const self: Renewable = {
    provenAt: 0,
    transactions: 0,
    ping: async () => await pool`select 1`,
    renew: (error) => {
      const old = pool;
      pool = open(onclose, error);
      self.provenAt = 0;
      void retire(old);
    },
  };
  renewables.add(self);
  const own: Partial<Sql> = {
    begin: (async (...args: [string, Run] | [Run]) => {
      self.transactions++;
      return await begin(pool, args).finally(() => self.transactions--);
    }) as Sql["begin"],
    end: async (options) => {
      renewables.delete(self);
      await pool.end(options);
    },
  };
  return new Proxy(pool, {
    apply: (_first, _this, args) => Reflect.apply(pool, undefined, args) as unknown,
    get: (_first, name) => Reflect.get(name in own ? own : pool, name) as unknown,
  });
}

/** Whoever else still uses it has five seconds to finish. */
async function retire(old: Sql): Promise<void> {
  try {
    await old.end({ timeout: 5 });
  } catch (error) {
    log.warn("old pool not ended", { error });
  }
}

type Run = (tx: postgres.TransactionSql<Record<string, never>>) => unknown;

/**
 * postgres.js 3.4 answers an error inside a transaction with a rollback, also where the error is that the connection is
 * gone: it then writes to a socket that is null, which nobody can catch. So such an error is kept back here;
 * postgres.js rejects the transaction itself when the connection closes.
 */
async function begin(pool: Sql, args: [string, Run] | [Run]): Promise<unknown> {
  const run = args[args.length - 1] as Run;
  const guarded = async (tx: Parameters<Run>[0]) => {
    try {
      const result = run(tx);
      return await (Array.isArray(result) ? Promise.all(result) : result);
    } catch (error) {
      if (closesTransaction(error)) return await new Promise<never>(() => {});
      throw error;
    }
  };
  return args.length === 1 ? await pool.begin(guarded) : await pool.begin(args[0], guarded);
}

/**
 * Runs one call of an entry point. Before it, connections that were not used for ten seconds are tried, and replaced
 * where they do not answer: nothing has happened yet, so that is safe for every call. When a connection is lost
 * in the middle, a `repeatable` run is run once more; any other rejects with the error.
 */
export async function withConnections<T>(repeatable: boolean, run: () => Promise<T>): Promise<T> {
  if (callsInProgress++ === 0) await Promise.all([...renewables].map(prove));
  try {
    const result = await runAgain(repeatable, run);
    for (const pool of renewables) pool.provenAt = Date.now();
    return result;
  } finally {
    callsInProgress--;
  }
}

async function runAgain<T>(repeatable: boolean, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!isConnectionError(error) && !isPasswordRefused(error)) throw error;
    renewAll(error);
    if (!repeatable) throw error;
    log.warn("call repeated", { error });
    return await run();
  }
}

/** Replaces every pool, such as after a call that got no answer at all. */
export function renewAll(error: unknown): void {
  for (const pool of renewables) pool.renew(error);
}

/** Leaves a pool that does not answer, replaced, to the call itself, which then says so. */
async function prove(pool: Renewable): Promise<void> {
  // A ping would wait behind the transaction, and its lateness would end it.
  if (pool.transactions > 0 || Date.now() - pool.provenAt < TRUSTED_MS) return;
  for (const patienceMs of [pool.provenAt === 0 ? CONNECT_MS : PING_MS, CONNECT_MS]) {
    try {
      await within(patienceMs, pool.ping(), () => noPing(patienceMs));
      return;
    } catch (error) {
      log.warn("connections replaced", { error });
      pool.renew(error);
    }
  }
}

function noPing(ms: number): never {
  throw new Error(`The database did not answer a ping within ${ms} ms.`);
}
