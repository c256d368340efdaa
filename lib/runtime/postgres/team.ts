import type { Db, Pool } from "./db.ts";

/** Where a use case opens its transactions. */
export type Transactions = { begin: <T>(run: (db: Db) => Promise<T>) => Promise<T> };

/**
 * Transactions in which Postgres shows the rows of one team and no others (row level security), whatever a statement forgets. The role
 * and the team are set for the transaction alone, so that it is as safe behind a transaction pooler. `refusal` answers the error of a
 * key, whose id is `keyId`, that is not good any more: then nothing has been done.
 */
export function teamTransactions(
  pool: Pool,
  { team, keyId }: { team: string; keyId: string | null },
  refusal: () => Error,
): Transactions {
  const enter = (db: Db) => db`select enter_team(${team}, ${keyId})`;
  return {
    begin: async (run) => {
      const entering = async (db: Db) => {
        // Sent with the first statement, in one round trip; where it fails, so does all that comes after it.
        const entered = enter(db).execute();
        const [, done] = await Promise.all([entered, run(db)]);
        return done;
      };
      try {
        return (await pool.begin(entering)) as never;
      } catch (error) {
        throw isKeyRefused(error) ? refusal() : error;
      }
    },
  };
}

/** The state that enter_team raises. */
function isKeyRefused(error: unknown): boolean {
  return (error as { code?: unknown }).code === "WB401";
}
