import { ConfigError } from "../../errors.ts";
import { prefixOf } from "../../protocol/api-key.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { Role, System } from "../actor.ts";
import { revokeNamed } from "../keys/keys.ts";
import { hashOf, publicKeyFor } from "../keys/secret.ts";
import { lockMembers, personNamed } from "../members/users.ts";
import { audit } from "../record.ts";

/** A key that somebody has made, and the id under which it is kept where it is not there yet. */
type Made = { key: string; keyId: string };

/** Whose a key is: a member's of the team, or an agent's; and what it is called among the keys that are not revoked. */
export type Holder = { team: string; name: string } & ({ user: string; role: Role } | { agent: string });

/**
 * Has a team hold a key that somebody has made already, again where it is there; who held the name of it before is revoked. Answers
 * whether the key is good: one that was revoked or rotated away stays so. A user that is not there is made, with the key's role in the team;
 * who is a member already keeps the role that it has.
 */
export async function putKey(db: Db, actor: System, { key, keyId }: Made, holder: Holder): Promise<boolean> {
  const prefix = prefixOf(key);
  if (prefix === undefined)
    throw new ConfigError("This is no key of Waybill: it is wb_, 12 and 43 letters and digits.");
  const hash = hashOf(key);
  const [there] = await db<{ good: boolean; unsigning: boolean }[]>`
    select revoked_at is null and coalesce(expires_at > now(), true)
        and (secret_hash = ${hash} or coalesce(previous_hash = ${hash} and previous_until > now(), false)) as good,
        -- from before agents signed
        agent_name is not null and public_key is null and secret_hash = ${hash} as unsigning
      from api_keys where prefix = ${prefix}
  `;
  if (there !== undefined) {
    if (there.unsigning) await db`update api_keys set public_key = ${publicKeyFor(key)} where prefix = ${prefix}`;
    return there.good;
  }
  const { team, name } = holder;
  const [role, userId] = "user" in holder ? [holder.role, await member(db, holder)] : [null, null];
  const agent = "agent" in holder ? holder.agent : null;
  await revokeNamed(db, actor, team, name);
  await db`
    insert into api_keys (key_id, team_id, name, prefix, secret_hash, public_key, role, user_id, agent_name, created_by)
      values (
        ${keyId}, ${team}, ${name}, ${prefix}, ${hash}, ${agent === null ? null : publicKeyFor(key)}, ${role}, ${userId}, ${agent},
        ${actor.name}
      )
  `;
  const kind = agent === null ? "user" : "agent";
  await audit(db, actor, { action: "key.created", object: ["key", keyId], team, details: { name, kind, role } });
  return true;
}

/** The id of a user, who is in the team from now on. */
async function member(db: Db, { team, user, role }: { team: string; user: string; role: Role }): Promise<string> {
  await lockMembers(db, team);
  const userId = await personNamed(db, team, user);
  await db`
    insert into team_memberships (team_id, user_id, role) values (${team}, ${userId}, ${role})
      on conflict on constraint team_memberships_pkey do nothing
  `;
  return userId;
}
