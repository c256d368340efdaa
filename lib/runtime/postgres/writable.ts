import type { Db } from "./db.ts";

/**
 * Resolves where the database takes writes; rejects with the code read_only where it does not: it is a standby, or was told so
 * (default_transaction_read_only), be it for this session or for those that are opened from now on.
 */
export async function ensureWritable(db: Db): Promise<void> {
  const [row] = await db<{ readOnly: boolean }[]>`
    select current_setting('transaction_read_only')::bool or exists (
      select from pg_db_role_setting, unnest(setconfig) as setting
      where setdatabase = (select oid from pg_database where datname = current_database()) and setrole = 0
        and setting ~* '^default_transaction_read_only=(on|t|true|y|yes|1)$'
    ) as read_only
  `;
  if (row?.readOnly === false) return;
  throw Object.assign(new Error("The database takes no writes."), { code: "read_only" });
}
