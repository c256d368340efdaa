import type { Db } from "../../runtime/postgres/db.ts";
import type { Role, Scope } from "../actor.ts";
import type { Key } from "./schema.ts";

/** A key as the database has it, without its hashes. */
export type KeyRow = Pick<Key, "name" | "prefix" | "user" | "agent" | "role" | "scopes"> & {
  keyId: string;
  isPersons: boolean;
  requestsPerSecond: number | null;
  bytesPerDay: number | null;
  createdBy: string;
  createdAt: Date;
  expiresAt: Date | null;
  lastUsedAt: Date | null;
  previousUntil: Date | null;
  revokedAt: Date | null;
  revokedBy: string | null;
};

/** The end of a statement: as KeyRow the rows of api_keys that it calls `key`. */
export const selectKeys = (db: Db) => db`
  select key.key_id, key.name, key.prefix, owner.name as user, key.user_id is not null as is_persons, key.agent_name as agent, key.role,
    key.scopes, key.requests_per_second, key.bytes_per_day::float8 as bytes_per_day, key.created_by, key.created_at, key.expires_at,
    key.last_used_at, case when key.previous_until > now() then key.previous_until end as previous_until, key.revoked_at, key.revoked_by
  from key left join users as owner on owner.user_id = key.user_id
`;

/** A key as it is answered. */
export function toKey(row: KeyRow): Key {
  const { name, prefix, user, agent, role, scopes } = row;
  return {
    key_id: row.keyId,
    name,
    prefix,
    kind: agent !== null ? "agent" : row.isPersons ? "user" : "service",
    user,
    agent,
    role,
    scopes,
    requests_per_second: row.requestsPerSecond,
    bytes_per_day: row.bytesPerDay,
    created_by: row.createdBy,
    created_at: row.createdAt.toISOString(),
    expires_at: iso(row.expiresAt),
    last_used_at: iso(row.lastUsedAt),
    previous_until: iso(row.previousUntil),
    revoked_at: iso(row.revokedAt),
    revoked_by: row.revokedBy,
  };
}

function iso(time: Date | null): string | null {
  return time?.toISOString() ?? null;
}

/** What decides whether a key may be given to somebody: whose it is, and what it may. */
export type Powers = { userId: string | null; role: Role | null; scopes: readonly Scope[] | null };
