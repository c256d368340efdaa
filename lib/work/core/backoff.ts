import type { Growth } from "../../backoff.ts";
import type { Db, Fragment } from "../../runtime/postgres/db.ts";

/** Between two attempts, in seconds: 2, 4, 8 … at most 300, of which a random half is taken off (equal jitter). */
export const BACKOFF = { first: 2, most: 300 } as const satisfies Growth;

/**
 * The seconds to wait after tasks.attempts_used attempts, for a statement on tasks: `backoff` of lib/backoff.ts as SQL, with other dice for
 * each row.
 */
export function backoffSql(db: Db, dice: Fragment = db`random()`): Fragment {
  return db`
    least(${BACKOFF.most}::float8, ${BACKOFF.first}::float8 * 2 ^ greatest(0, tasks.attempts_used - 1)) * (1 - ${dice} / 2)
  `;
}
