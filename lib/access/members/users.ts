import type { Db } from "../../runtime/postgres/db.ts";

/**
 * The id of whom a team calls by this name: a member of it, else somebody who is known to all teams, else one whom this team alone has named,
 * who is made where there is none. A name that a team gives is its own: it takes it from nobody, and nobody is known by it elsewhere.
 */
export async function personNamed(db: Db, team: string, name: string): Promise<string> {
  await db`
    insert into users (name, named_in)
    select ${name}::text, ${team}::uuid where not exists (select from (${called(db, team, name)}) as known)
    on conflict (named_in, name) where named_in is not null do nothing
  `;
  const [user] = await db<{ userId: string }[]>`${called(db, team, name)}`;
  if (user === undefined) throw new Error("A user that was just there is gone.");
  return user.userId;
}

const called = (db: Db, team: string, name: string) => db`
  select users.user_id from users
  left join team_memberships as membership on membership.user_id = users.user_id and membership.team_id = ${team}
  where users.name = ${name} and (membership.user_id is not null or users.named_in is null or users.named_in = ${team})
  order by membership.user_id is null, users.named_in is not null
  limit 1
`;

/** Lets one change of who is in a team happen at a time, until the transaction ends; keys are not made meanwhile. */
export async function lockMembers(db: Db, team: string): Promise<void> {
  await db`select pg_advisory_xact_lock(hashtextextended(${nameOf(team)}, 0))`;
}

/** Waits for who changes who is in a team, and has others wait until the transaction ends, but not those who only read it as this does. */
export async function holdMembers(db: Db, team: string): Promise<void> {
  await db`select pg_advisory_xact_lock_shared(hashtextextended(${nameOf(team)}, 0))`;
}

const nameOf = (team: string) => `members ${team}`;
