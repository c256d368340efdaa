import { CallerError } from "../../errors.ts";
import { type Page, pageOf } from "../../input/page.ts";
import type { Db, Fragment } from "../../runtime/postgres/db.ts";
import { type Actor, teamOf } from "../actor.ts";
import { holdMembers } from "../members/users.ts";
import { auditing } from "../record.ts";
import { refusedAs } from "../refused.ts";
import { refuseMoreThanOwn } from "./bounds.ts";
import { type KeyRow, selectKeys, toKey } from "./rows.ts";
import type { CreateKey, Key, MadeKey } from "./schema.ts";
import { hashOf, newKey, newPrefix, publicKeyFor } from "./secret.ts";

/**
 * Makes a key under this id and answers it with its secret, this once. Throws a CallerError: 403 where it could do more than its
 * maker, 404 where nobody in the team has the name in `user`, 409 where a key that is not revoked has its name.
 */
export async function createKey(db: Db, actor: Actor, wish: CreateKey & { keyId: string }): Promise<MadeKey> {
  const team = teamOf(actor);
  const { keyId, name, kind, agent = null, expires_at, requests_per_second, bytes_per_day } = wish;
  if (expires_at !== null && Date.parse(expires_at) <= Date.now())
    throw new CallerError(400, "invalid_input", "The request is not valid: see expires_at.", {
      fields: [{ field: "expires_at", message: "is over; give a time to come, or leave it out" }],
    });
  // In this order, as who takes a person out: nobody who is taken out, and no key that is revoked meanwhile, has one made.
  await holdMembers(db, team);
  await refuseLonger(db, actor, wish);
  const userId = kind === "user" ? await userOf(db, actor, wish.user) : null;
  const role = kind === "agent" ? null : wish.role;
  // A key that has not all scopes gives those that it has.
  const scopes = wish.scopes ?? (actor.kind === "system" ? null : actor.scopes);
  refuseMoreThanOwn(actor, { userId, role, scopes });
  const prefix = newPrefix();
  const key = newKey(prefix);
  const [row] = await db<KeyRow[]>`
    with key as (
      insert into api_keys (
        key_id, team_id, name, prefix, secret_hash, public_key, role, scopes, user_id, agent_name, requests_per_second, bytes_per_day, created_by,
        expires_at
      ) values (
        ${keyId}, ${team}, ${name}, ${prefix}, ${hashOf(key)}, ${agent === null ? null : publicKeyFor(key)}, ${role}, ${scopes === null ? null : [...scopes]}::text[], ${userId},
        ${agent}, ${requests_per_second}, ${bytes_per_day}, ${actor.name}, ${expires_at}
      )
      on conflict (team_id, name) where revoked_at is null do nothing
      returning *
    ), audited as (
      ${auditing(db, actor, { action: "key.created", object: ["key", keyId], details: { name, kind, role } }, db`from key`)}
    )
    ${selectKeys(db)}
  `;
  if (row !== undefined) return { ...toKey(row), key };
  throw new CallerError(
    409,
    "key_name_taken",
    `A key is named ${name}. Choose another name, or revoke or rotate that one.`,
  );
}

/**
 * Throws a CallerError, 403, where the key would be good for longer than the key that it is made with, or for more; 401 where that one is
 * good no more, which it stays until the transaction ends.
 */
async function refuseLonger(
  db: Db,
  actor: Actor,
  wish: Pick<CreateKey, "expires_at" | "requests_per_second" | "bytes_per_day">,
) {
  const own = await ownKey(db, actor);
  if (own === undefined) return;
  const until = wish.expires_at === null ? null : Date.parse(wish.expires_at);
  if (
    !isMore(own.expiresAt?.getTime(), until) &&
    !isMore(own.requestsPerSecond, wish.requests_per_second) &&
    !isMore(own.bytesPerDay, wish.bytes_per_day)
  )
    return;
  const message = "Your own key has an end or limits: give this one an end and limits within them, or use another key.";
  throw new CallerError(403, "more_than_own", message);
}

/** A condition: the key is there, not revoked and not expired. */
export const goodKey = (db: Db, keyId: string): Fragment => db`
  key_id = ${keyId} and revoked_at is null and (expires_at is null or expires_at > now())
`;

type Bounds = { expiresAt: Date | null; requestsPerSecond: number | null; bytesPerDay: number | null };

/**
 * What bounds the key that an actor calls with; undefined for who needs none. Throws a CallerError, 401, where it is good no more; it
 * stays good until the transaction ends.
 */
async function ownKey(db: Db, actor: Actor): Promise<Bounds | undefined> {
  if (actor.kind === "system" || actor.keyId === null) return undefined;
  const [own] = await db<Bounds[]>`
    select expires_at, requests_per_second, bytes_per_day::float8 as bytes_per_day from api_keys
    where ${goodKey(db, actor.keyId)} for share
  `;
  if (own === undefined) throw refusedAs("key_not_valid");
  return own;
}

/** Throws a CallerError, 401, where the key that an actor calls with is good no more; it stays good until the transaction ends. */
export async function mustBeGood(db: Db, actor: Actor): Promise<void> {
  await ownKey(db, actor);
}

/** Whether this is more than one has; null has no bound. */
function isMore(own: number | null | undefined, asked: number | null): boolean {
  return own !== null && own !== undefined && (asked === null || asked > own);
}

/** The user whose key it is to be: who is named, else who asks, which may be in the team by a group of its token alone. */
async function userOf(db: Db, actor: Actor, said: string | undefined): Promise<string> {
  const named = said ?? (actor.kind === "user" ? actor.name : undefined);
  if (named === undefined) {
    const message = `${actor.name} is no person. Say whose the key is as user, or kind service.`;
    throw new CallerError(400, "invalid_input", message, { fields: [{ field: "user", message: "must be given" }] });
  }
  const [found] = await db<{ userId: string }[]>`
    select user_id from users join team_memberships as membership using (user_id)
    where users.name = ${named} and membership.team_id = ${teamOf(actor)}
  `;
  if (found !== undefined) return found.userId;
  const message = "Nobody with this name is a member: PUT /members/NAME by an owner takes it in, or say kind service.";
  throw new CallerError(404, "unknown_member", message);
}

type Asked = { limit: number; cursor?: string | undefined; revoked?: boolean | undefined };

/** A page of the team's keys, latest first; `revoked`: those that are, or that are not. */
export async function listKeys(db: Db, actor: Actor, { limit, cursor, revoked }: Asked): Promise<Page<Key>> {
  const rows = await db<KeyRow[]>`
    with key as (
      select * from api_keys
      where team_id = ${teamOf(actor)}
        ${cursor === undefined ? db`` : db`and key_id < ${cursor}`}
        ${revoked === undefined ? db`` : db`and (revoked_at is not null) = ${revoked}`}
      order by key_id desc
      limit ${limit + 1}
    )
    ${selectKeys(db)}
    order by key_id desc
  `;
  return pageOf(rows.map(toKey), limit, ({ key_id }) => key_id);
}

/** Revokes a key, at once but for what caches it; one that is revoked stays as it is. Throws a CallerError, 404, where there is none. */
export async function revokeKey(db: Db, actor: Actor, keyId: string): Promise<Key> {
  const team = teamOf(actor);
  const [row] = await db<KeyRow[]>`
    with before as (
      select revoked_at from api_keys where key_id = ${keyId} and team_id = ${team} for no key update
    ), key as (
      update api_keys set revoked_at = coalesce(api_keys.revoked_at, now()), revoked_by = coalesce(revoked_by, ${actor.name})
      from before
      where key_id = ${keyId} and team_id = ${team}
      returning api_keys.*
    ), audited as (
      ${auditing(db, actor, { action: "key.revoked", object: ["key", keyId] }, db`from before where revoked_at is null`)}
    )
    ${selectKeys(db)}
  `;
  if (row === undefined) throw unknownKey();
  return toKey(row);
}

/** Revokes the team's key of this name, where it has one. */
export async function revokeNamed(db: Db, actor: Actor, team: string, name: string): Promise<void> {
  const [live] = await db<{ keyId: string }[]>`
    select key_id from api_keys where team_id = ${team} and name = ${name} and revoked_at is null
  `;
  if (live !== undefined) await revokeKey(db, { ...actor, team }, live.keyId);
}

/** That the team has no such key: CallerError, 404. */
export function unknownKey(): CallerError {
  return new CallerError(404, "unknown_key", "The team has no key with this id. GET /keys lists those that it has.");
}
