import { CallerError } from "../../errors.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import { type Actor, teamOf } from "../actor.ts";
import { holdMembers } from "../members/users.ts";
import { auditing } from "../record.ts";
import { refuseMoreThanOwn } from "./bounds.ts";
import { goodKey, mustBeGood, unknownKey } from "./keys.ts";
import { type KeyRow, type Powers, selectKeys, toKey } from "./rows.ts";
import type { MadeKey } from "./schema.ts";
import { hashOf, newKey, publicKeyFor } from "./secret.ts";

/**
 * Gives a key another secret and answers it, this once. The one before stays good for `graceSeconds`, that before it no longer. Throws a
 * CallerError: 403 where it could do more than who asks, 404 where there is none, 409 where it is over.
 */
export async function rotateKey(db: Db, actor: Actor, keyId: string, graceSeconds: number): Promise<MadeKey> {
  const team = teamOf(actor);
  await holdMembers(db, team);
  await mustBeGood(db, actor);
  const [found] = await db<(Powers & { prefix: string })[]>`
    select user_id, role, scopes, prefix from api_keys where key_id = ${keyId} and team_id = ${team}
  `;
  if (found === undefined) throw unknownKey();
  refuseMoreThanOwn(actor, found);
  const key = newKey(found.prefix);
  const [row] = await db<KeyRow[]>`
    with key as (
      update api_keys set secret_hash = ${hashOf(key)},
        previous_hash = case when ${graceSeconds}::int > 0 then secret_hash end,
        public_key = case when agent_name is not null then ${publicKeyFor(key)}::bytea end,
        previous_public_key = case when ${graceSeconds}::int > 0 then public_key end,
        previous_until = case when ${graceSeconds}::int > 0 then now() + make_interval(secs => ${graceSeconds}::int) end
      where ${goodKey(db, keyId)} and team_id = ${team}
      returning *
    ), audited as (
      ${auditing(db, actor, { action: "key.rotated", object: ["key", keyId], details: { grace_seconds: graceSeconds } }, db`from key`)}
    )
    ${selectKeys(db)}
  `;
  if (row !== undefined) return { ...toKey(row), key };
  throw new CallerError(409, "key_over", "The key has been revoked or has expired. Make another one: POST /keys");
}
