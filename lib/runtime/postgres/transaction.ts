// Own while postgres.js 3.4 is the driver: what a transaction says after its connection was lost it writes to no socket, which nobody
// can catch and ends the process, or to the next connection, outside of any transaction. Here it is refused.
import type postgres from "postgres";
import { isLostConnection } from "./db-errors.ts";

type Sql = postgres.Sql<Record<string, never>>;
type Run = (tx: postgres.TransactionSql<Record<string, never>>) => unknown;

/** A statement of postgres.js, as far as its source and not its types have it: `handler` sends it, `reject` fails it. */
type Statement = { handler: (statement: Statement) => unknown; reject: (error: unknown) => void };

/**
 * Has `lost` told at once when a connection is lost under a statement that `made` is, before anybody who waits for it is; `refusal`
 * answers why a statement may not be sent any more. What is no statement, such as an identifier, goes through.
 */
export function watched<T>(made: T, lost: (error: unknown) => void, refusal: () => unknown): T {
  if (!(made instanceof Promise)) return made;
  const statement = made as unknown as Statement;
  const { handler, reject } = statement;
  statement.handler = (sent) => {
    const refused = refusal();
    return refused === undefined ? handler(sent) : reject(refused);
  };
  statement.reject = (error) => {
    if (isLostConnection(error)) lost(error);
    reject(error);
  };
  return made;
}

/**
 * Runs a transaction as postgres.js does, but where its connection is lost: then it rejects with that, whatever `run` makes of it, and
 * nothing that `run` still says is sent. Nor is what it says after the end.
 */
export async function begin(pool: Sql, args: [string, Run] | [Run], lost: (error: unknown) => void): Promise<unknown> {
  const run = args.at(-1) as Run;
  let over: unknown;
  const end = (error: unknown) => {
    over ??= error;
  };
  const onLost = (error: unknown) => {
    end(error);
    lost(error);
  };
  const watching = <T>(made: T) => watched(made, onLost, () => over);
  const guarded = async (tx: Parameters<Run>[0]) => {
    const guard = new Proxy(tx, {
      apply: (target, _this, given) => watching(Reflect.apply(target, undefined, given) as unknown),
      get: (target, name) => {
        const member = Reflect.get(target, name) as unknown;
        if (name !== "unsafe") return member;
        return (...given: unknown[]) => watching(Reflect.apply(member as () => unknown, target, given));
      },
    });
    try {
      const result = run(guard);
      const settled: unknown = await (Array.isArray(result) ? Promise.all(result) : result);
      if (over === undefined) return settled;
    } catch (error) {
      if (over === undefined) throw error;
    }
    // postgres.js rejects the transaction itself when the connection closes; its commit or rollback would be written to no socket.
    return await new Promise<never>(() => {});
  };
  try {
    return await (args.length === 1 ? pool.begin(guarded) : pool.begin(args[0], guarded));
  } finally {
    end(new Error("The transaction is over: nothing more can be said in it. Await every statement of it."));
  }
}
