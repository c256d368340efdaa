import type { Db } from "../../runtime/postgres/db.ts";
import { type System, teamOf } from "../actor.ts";
import { createKey, revokeNamed } from "../keys/keys.ts";
import { CreateKey, type MadeKey } from "../keys/schema.ts";
import { putMember } from "../members/members.ts";

const OWNER = "owner";
/** What the key of a team's first owner is called. */
export const FIRST = "first-owner";

/** Whether a team has an owner. */
export async function hasOwner(db: Db, actor: System): Promise<boolean> {
  const owners = await db`select from team_memberships where team_id = ${teamOf(actor)} and role = 'owner' limit 1`;
  return owners.length > 0;
}

/**
 * Makes a team's first owner and its key, in place of the one that this made before, which is revoked. Runs within the caller's
 * transaction.
 */
export async function firstKey(db: Db, actor: System, keyId: string): Promise<MadeKey> {
  await putMember(db, actor, OWNER, { role: "owner" });
  await revokeNamed(db, actor, teamOf(actor), FIRST);
  const wish = CreateKey.parse({ name: FIRST, kind: "user", user: OWNER, role: "owner" });
  return await createKey(db, actor, { ...wish, keyId });
}
