import { randomUUID } from "node:crypto";
import type { Caller, Role } from "../../../lib/access/actor.ts";
import type { Db } from "../../../lib/runtime/postgres/db.ts";

/** Makes a team and answers an owner of it, or another person with this role. */
export async function newTeam(db: Db, name: string, role: Role = "owner"): Promise<Caller> {
  const team = randomUUID();
  await db`insert into teams (team_id, name) values (${team}, ${name})`;
  return await newPerson(db, team, `${role}@${name}.test`, role);
}

/** Makes a person of a team. */
export async function newPerson(db: Db, team: string, name: string, role: Role): Promise<Caller> {
  const id = randomUUID();
  await db`insert into users (user_id, name) values (${id}, ${name})`;
  await db`insert into team_memberships (team_id, user_id, role) values (${team}, ${id}, ${role})`;
  return { kind: "user", id, name, team, role, scopes: null, keyId: null, agent: null };
}
