import type { Db } from "../../runtime/postgres/db.ts";
import type { Caller, Role } from "../actor.ts";
import { isAtLeast } from "../may.ts";
import { MemberName } from "../members/schema.ts";
import type { Outcome } from "../outcome.ts";
import type { Grants } from "./settings.ts";

/** What a token of the issuer says of a person. */
export type Person = { subject: string; name: string | undefined; groups: readonly string[]; until: Date | null };

/** A team's id, and what one is in it. */
type Place = { team: string; role: Role };
/** The same by the team's name, as who configures grants knows it. */
type Grant = { teamName: string; role: Role };

/**
 * The person of a token as a caller: in the team, and with the role, that its groups have, else that it is a member with. One that is
 * seen first is kept.
 */
export async function findPerson(db: Db, grants: Grants, person: Person): Promise<Outcome> {
  const { subject, groups, until } = person;
  const granted = grantOf(grants, groups);
  const place = granted === undefined ? await membershipOf(db, subject) : await placeOf(db, granted);
  if (place === undefined) return { refused: "no_role" };
  const known = await findUser(db, subject);
  if (known === undefined && !MemberName.safeParse(person.name).success) return { refused: "token_without_name" };
  const user = known ?? (await keepUser(db, subject, person.name ?? ""));
  if (user === undefined) return { refused: "name_taken" };
  const caller: Caller = {
    ...place,
    kind: "user",
    id: user.id,
    name: user.name,
    scopes: null,
    keyId: null,
    agent: null,
  };
  return { caller, until };
}

/** What the groups of a token have: the team of the first that is granted one, and the highest role there. */
export function grantOf(grants: Grants, groups: readonly string[]): Grant | undefined {
  const own = grants.filter(({ group }) => groups.includes(group));
  const teamName = own[0]?.teamName;
  if (teamName === undefined) return undefined;
  const roles = own.filter((grant) => grant.teamName === teamName).map(({ role }) => role);
  return { teamName, role: roles.reduce((best, role) => (isAtLeast(role, best) ? role : best)) };
}

async function placeOf(db: Db, { teamName, role }: Grant): Promise<Place | undefined> {
  const [found] = await db<{ team: string }[]>`select team_id as team from teams where name = ${teamName}`;
  return found === undefined ? undefined : { team: found.team, role };
}

/** Where the user with this subject is a member, first where it has been longest; undefined: nowhere. */
export async function membershipOf(db: Db, subject: string): Promise<(Place & { id: string }) | undefined> {
  const [found] = await db<(Place & { id: string })[]>`
    select membership.team_id as team, membership.role, membership.user_id as id
    from users join team_memberships as membership using (user_id)
    where users.subject = ${subject}
    order by membership.created_at, membership.team_id
    limit 1
  `;
  return found;
}

type User = { id: string; name: string };

async function findUser(db: Db, subject: string): Promise<User | undefined> {
  const [user] = await db<User[]>`select user_id as id, name from users where subject = ${subject}`;
  return user;
}

/** Keeps a person who is seen first; undefined where another one is known by the name. Whom a team has named for itself is not known by it. */
async function keepUser(db: Db, subject: string, name: string): Promise<User | undefined> {
  const [made] = await db<User[]>`
    insert into users (name, subject) values (${name}, ${subject}) on conflict do nothing returning user_id as id, name
  `;
  // Another call of the same person may have been sooner.
  return made ?? (await findUser(db, subject));
}
