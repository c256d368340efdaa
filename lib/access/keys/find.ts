import { prefixOf } from "../../protocol/api-key.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import { type Caller, type Role, SCOPES, type Scope } from "../actor.ts";
import { lesser, MANAGES_ACCESS } from "../may.ts";
import type { Outcome } from "../outcome.ts";
import { hashOf, isSameHash } from "./secret.ts";

type Row = {
  keyId: string;
  team: string;
  name: string;
  secretHash: Uint8Array;
  previousHash: Uint8Array | null;
  role: Role | null;
  scopes: Scope[] | null;
  userId: string | null;
  agentName: string | null;
  requestsPerSecond: number | null;
  bytesPerDay: number | null;
  expiresAt: Date | null;
  userName: string | null;
  memberRole: Role | null;
  expired: boolean;
  revoked: boolean;
  usedLately: boolean;
};

/** What the time of an answer tells of a key that is not there is what it tells of one whose secret is wrong. */
const NOBODYS = hashOf("");

/**
 * Whose key this is, in one statement; a person's may no more than its membership. Keeps when it was last used, once a minute at most,
 * which nobody waits for: where that fails it is kept the next time.
 */
export async function findKey(db: Db, key: string): Promise<Outcome> {
  const prefix = prefixOf(key);
  if (prefix === undefined) return { refused: "key_unknown" };
  const row = await findRow(db, prefix);
  const hash = hashOf(key);
  const isCurrent = isSameHash(hash, row?.secretHash ?? NOBODYS);
  const isPrevious = isSameHash(hash, row?.previousHash ?? NOBODYS);
  if (row === undefined || !(isCurrent || isPrevious)) return { refused: "key_unknown" };
  if (row.revoked) return { refused: "key_revoked" };
  if (row.expired) return { refused: "key_expired" };
  if (row.userId !== null && row.memberRole === null) return { refused: "membership_ended" };
  if (!row.usedLately) void noteUse(db, row.keyId).catch(() => {});
  const caller = callerOf(row);
  return { caller: isCurrent ? caller : asEarlier(caller), until: row.expiresAt };
}

async function findRow(db: Db, prefix: string): Promise<Row | undefined> {
  const [row] = await db<Row[]>`
    select key.key_id, key.team_id as team, key.name, key.secret_hash, key.role, key.scopes,
      case when key.previous_until > now() then key.previous_hash end as previous_hash, key.user_id,
      key.agent_name, key.requests_per_second, key.bytes_per_day::float8 as bytes_per_day, key.expires_at, users.name as user_name, membership.role as member_role,
      coalesce(key.expires_at <= now(), false) as expired, key.revoked_at is not null as revoked,
      coalesce(key.last_used_at > now() - interval '1 minute', false) as used_lately
    from api_keys as key
    left join users on users.user_id = key.user_id
    left join team_memberships as membership on membership.team_id = key.team_id and membership.user_id = key.user_id
    where key.prefix = ${prefix}
  `;
  return row;
}

function callerOf(row: Row): Caller {
  const { keyId, team, name, role, scopes, userId, agentName, userName, memberRole, requestsPerSecond, bytesPerDay } =
    row;
  const isLimited = requestsPerSecond !== null || bytesPerDay !== null;
  const limits = isLimited ? { limits: { requestsPerSecond, bytesPerDay } } : {};
  const common = { team, scopes, keyId, agent: agentName, ...limits };
  if (agentName !== null) return { ...common, kind: "agent", id: keyId, name: `agent:${agentName}`, role: null };
  if (userId === null || userName === null || memberRole === null || role === null)
    return { ...common, kind: "service", id: keyId, name: `key:${name}`, role };
  return { ...common, kind: "user", id: userId, name: userName, role: lesser(role, memberRole) };
}

/** What the secret before a rotation may, for as long as it is good. */
function asEarlier(caller: Caller): Caller {
  const scopes = (caller.scopes ?? SCOPES).filter((scope) => scope !== MANAGES_ACCESS);
  return { ...caller, scopes, isEarlier: true };
}

async function noteUse(db: Db, keyId: string): Promise<void> {
  await db`
    update api_keys set last_used_at = now()
    where key_id = (
      select key_id from api_keys
      where key_id = ${keyId} and (last_used_at is null or last_used_at < now() - interval '1 minute')
      for update skip locked
    )
  `;
}
