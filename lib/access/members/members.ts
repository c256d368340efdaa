import { CallerError } from "../../errors.ts";
import { type Page, pageOf } from "../../input/page.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import { type Actor, DEFAULT_TEAM, type Role, teamOf } from "../actor.ts";
import { audit } from "../record.ts";
import type { Member, PutMember } from "./schema.ts";
import { lockMembers, personNamed } from "./users.ts";

type MemberRow = { name: string; role: Role; subject: string | null; createdAt: Date };

/** A page of who is in the team, by name. */
export async function listMembers(
  db: Db,
  actor: Actor,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<Page<Member>> {
  const rows = await db<MemberRow[]>`
    select users.name, membership.role, users.subject, membership.created_at
    from team_memberships as membership join users using (user_id)
    where membership.team_id = ${teamOf(actor)} ${cursor === undefined ? db`` : db`and users.name > ${cursor}`}
    order by users.name
    limit ${limit + 1}
  `;
  return pageOf(rows.map(toMember(actor)), limit, ({ name }) => name);
}

/**
 * Takes a person into the team with this role, or gives it that; the person is made where it is new. Runs within the caller's
 * transaction. Throws a CallerError, 409, where the team would have no owner, or where the subject is not the team's to say.
 */
export async function putMember(db: Db, actor: Actor, name: string, { role, subject }: PutMember): Promise<Member> {
  const team = teamOf(actor);
  await lockMembers(db, team);
  await mustStillOwn(db, actor);
  if (subject !== undefined) mayNameSubjects(actor);
  const userId = await personNamed(db, team, name);
  if (role !== "owner") await keepAnOwner(db, team, userId);
  if (subject !== undefined) await nameSubject(db, team, userId, subject);
  const [before] = await db<{ role: Role }[]>`
    select role from team_memberships where team_id = ${team} and user_id = ${userId}
  `;
  const [row] = await db<MemberRow[]>`
    with put as (
      insert into team_memberships (team_id, user_id, role) values (${team}, ${userId}, ${role})
      on conflict on constraint team_memberships_pkey do update set role = excluded.role,
        updated_at = case when team_memberships.role = excluded.role then team_memberships.updated_at else now() end
      returning role, created_at, user_id
    )
    select users.name, put.role, users.subject, put.created_at from put join users using (user_id)
  `;
  if (row === undefined) throw new Error("A member that was just put is gone.");
  const details = { before: before?.role ?? null, after: role, ...(subject === undefined ? {} : { subject }) };
  await audit(db, actor, { action: "member.put", object: ["member", name], details });
  return toMember(actor)(row);
}

/**
 * Takes a person out of the team and revokes its keys there. Runs within the caller's transaction. Throws a CallerError: 404 where nobody
 * in the team has the name, 409 where it is the last owner.
 */
export async function deleteMember(db: Db, actor: Actor, name: string): Promise<void> {
  const team = teamOf(actor);
  await lockMembers(db, team);
  await mustStillOwn(db, actor);
  const [member] = await db<{ userId: string }[]>`
    select user_id from team_memberships join users using (user_id)
    where team_id = ${team} and users.name = ${name}
  `;
  if (member === undefined)
    throw new CallerError(404, "unknown_member", "Nobody in the team has this name. GET /members lists who is in it.");
  await keepAnOwner(db, team, member.userId);
  const keys = await db`
    update api_keys set revoked_at = now(), revoked_by = ${actor.name}
    where team_id = ${team} and user_id = ${member.userId} and revoked_at is null
    returning key_id
  `;
  await db`delete from team_memberships where team_id = ${team} and user_id = ${member.userId}`;
  const details = { keys_revoked: keys.length };
  await audit(db, actor, { action: "member.removed", object: ["member", name], details });
}

/** Throws a CallerError, 409, where this one is the last owner. Within lockMembers: two do not lower each other. */
async function keepAnOwner(db: Db, team: string, userId: string): Promise<void> {
  const owners = await db<{ userId: string }[]>`
    select user_id from team_memberships where team_id = ${team} and role = 'owner'
  `;
  if (owners.length !== 1 || owners[0]?.userId !== userId) return;
  const message = "This is the team's last owner. Make somebody else an owner first: PUT /members/NAME";
  throw new CallerError(409, "last_owner", message);
}

/** A subject is the person's in all its teams, so that one of them alone may not change it for the others. */
async function nameSubject(db: Db, team: string, userId: string, subject: string): Promise<void> {
  const named = await db`
    update users set subject = ${subject}, named_in = null, updated_at = now()
    where user_id = ${userId} and subject is null
      and not exists (select from users as other where other.subject = ${subject})
      and not exists (select from users as other where other.name = users.name and other.named_in is null and other.user_id <> ${userId})
      and not exists (select from team_memberships as other where other.user_id = users.user_id and other.team_id <> ${team})
    returning user_id
  `;
  if (named.length > 0) return;
  const [same] = await db`select from users where user_id = ${userId} and subject = ${subject}`;
  if (same !== undefined) return;
  const message =
    "The subject or the name is somebody else's already, or the person is in another team too. Take it in by another name.";
  throw new CallerError(409, "subject_taken", message);
}

/** What a person is called elsewhere is told to those alone who may say it. */
function toMember(actor: Actor): (row: MemberRow) => Member {
  const isTold = actor.kind === "system" || actor.team === DEFAULT_TEAM;
  return ({ createdAt, subject, ...row }) => ({
    ...row,
    subject: isTold ? subject : null,
    created_at: createdAt.toISOString(),
  });
}

/** A caller may be known as what it was a minute ago; who is in a team is decided by what is so now. Throws a CallerError, 403. */
async function mustStillOwn(db: Db, actor: Actor): Promise<void> {
  if (actor.kind !== "user") return;
  const [now] = await db<{ role: Role }[]>`
    select role from team_memberships where team_id = ${actor.team} and user_id = ${actor.id}
  `;
  // Who has no membership is in by a group of its token.
  if (now === undefined ? actor.keyId === null : now.role === "owner") return;
  throw new CallerError(403, "role_too_low", "You are no owner of the team any more. Ask one.");
}

/**
 * A subject is who somebody is at an issuer or in IAM, in every team: it is for owners of the team default, by keys that are not narrowed.
 * Throws a CallerError, 403.
 */
function mayNameSubjects(actor: Actor): void {
  if (actor.kind === "system" || (actor.team === DEFAULT_TEAM && actor.scopes === null)) return;
  const message =
    "A subject is said by an owner of the team default, by a key of all scopes. Leave it out, or ask one.";
  throw new CallerError(403, "subject_not_yours", message);
}
