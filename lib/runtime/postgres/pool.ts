import type postgres from "postgres";
import { Unavailable } from "../../errors.ts";
import { within } from "../../time.ts";
import { log } from "../log.ts";
import { isConnectionSpent } from "./db-errors.ts";
import { begin, watched } from "./transaction.ts";

type Sql = postgres.Sql<Record<string, never>>;

/** A pool of postgres.js, and what ends the sockets that its own end leaves. */
export type Opened = { sql: Sql; destroy: () => void };

/** A pool used this recently is good; after a longer pause (Lambda freezes between calls) its sockets may be dead. */
const TRUSTED_MS = 10_000;
/** How long a connection that was open may take to answer, and a new one to be made. */
const PING_MS = 500;
const CONNECT_MS = 3_000;
/** The longest call there is, where nobody says how long it has. */
const CALL_MS = 30_000;
/** How long whoever else still uses a pool that was replaced has to finish. */
const GRACE_SECONDS = 5;

type Renewable = {
  provenAt: number;
  transactions: number;
  ping: () => Promise<unknown>;
  renew: (error: unknown) => void;
};

const renewables = new Set<Renewable>();
let callsInProgress = 0;
/** How often pools were replaced. */
let renewals = 0;

/**
 * A pool that is replaced whole when a connection of it is lost: postgres.js 3.4 may keep a lost connection as one that
 * is busy for ever, or take its next answer for that of the statement which was lost. `open` makes a pool, after `error` where there
 * was one, and calls `onclose` when a connection of it ends.
 */
export function renewable(open: (onclose: () => void, error?: unknown) => Opened): Sql {
  const onclose = () => {
    self.provenAt = 0;
  };
  let pool = open(onclose);
  const self: Renewable = {
    provenAt: 0,
    transactions: 0,
    ping: async () => await pool.sql`select 1`,
    renew: (error) => {
      renewals++;
      const old = pool;
      pool = open(onclose, error);
      self.provenAt = 0;
      void retire(old);
    },
  };
  renewables.add(self);
  const lostBy = (of: Opened) => (error: unknown) => {
    if (of === pool) self.renew(error);
  };
  const own: Partial<Sql> = {
    begin: (async (...args: Parameters<typeof begin>[1]) => {
      self.transactions++;
      return await begin(pool.sql, args, lostBy(pool)).finally(() => self.transactions--);
    }) as Sql["begin"],
    end: async (options) => {
      renewables.delete(self);
      await pool.sql.end(options);
      pool.destroy();
    },
  };
  return new Proxy(pool.sql, {
    apply: (_first, _this, args) => {
      return watched(Reflect.apply(pool.sql, undefined, args) as unknown, lostBy(pool), () => undefined);
    },
    get: (_first, name) => Reflect.get(name in own ? own : pool.sql, name) as unknown,
  });
}

/** A pool that is never replaced, for a lock belongs to its session; its transactions end as those of the others do. */
export function lasting({ sql, destroy }: Opened): Sql {
  const own: Partial<Sql> = {
    begin: (async (...args: Parameters<typeof begin>[1]) => await begin(sql, args, () => {})) as Sql["begin"],
    end: async (options) => {
      await sql.end(options);
      destroy();
    },
  };
  return new Proxy(sql, { get: (_sql, name) => Reflect.get(name in own ? own : sql, name) as unknown });
}

async function retire(old: Opened): Promise<void> {
  try {
    await old.sql.end({ timeout: GRACE_SECONDS });
  } catch (error) {
    log.warn("old pool not ended", { error });
  } finally {
    // Where the other side is silent, its goodbye would wait for as long as TCP tries.
    old.destroy();
  }
}

/**
 * Runs one call of an entry point, which has `ms` milliseconds: then it rejects with Unavailable, whatever it still waits for, and
 * its connections are replaced. Before it, connections that were not used for ten seconds are tried, and replaced
 * where they do not answer: nothing has happened yet, so that is safe for every call. When a connection is lost
 * in the middle, or leads to a server that takes no writes, a `repeatable` run is run once more; any other rejects with the error.
 */
export async function withConnections<T>(repeatable: boolean, run: () => Promise<T>, ms = CALL_MS): Promise<T> {
  const call: Call = { renewals, over: false };
  const first = callsInProgress++ === 0;
  try {
    return await within(
      ms,
      proven(first, () => runAgain(call, repeatable, run)),
      () => giveUp(call, ms),
    );
  } finally {
    call.over = true;
    callsInProgress--;
  }
}

/** `renewals` as it was at its start: what was replaced since then is not replaced again for its sake. */
type Call = { renewals: number; over: boolean };

async function proven<T>(first: boolean, run: () => Promise<T>): Promise<T> {
  if (first) await Promise.all([...renewables].map(prove));
  return await run();
}

async function runAgain<T>(call: Call, repeatable: boolean, run: () => Promise<T>): Promise<T> {
  try {
    const result = await run();
    if (!call.over && call.renewals === renewals) for (const pool of renewables) pool.provenAt = Date.now();
    return result;
  } catch (error) {
    if (call.over || !isConnectionSpent(error)) throw error;
    renewFor(call, error);
    if (!repeatable) throw error;
    log.warn("call repeated", { error });
    return await run();
  }
}

function giveUp(call: Call, ms: number): never {
  const error = new Unavailable(`The call was not done in the ${Math.round(ms)} ms that it has.`);
  // What it still waits for may be a connection that is dead without a word.
  renewFor(call, error);
  throw error;
}

/** Calls that fail by one connection replace it once. */
function renewFor(call: Call, error: unknown): void {
  if (call.renewals === renewals) renewAll(error);
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
