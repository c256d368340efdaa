import { CallerError } from "../../errors.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { System } from "../actor.ts";
import { newKey, newPrefix } from "../keys/secret.ts";
import { audit } from "../record.ts";
import { FIRST } from "./first.ts";
import { putKey } from "./put-key.ts";

/** A team, and how many people and keys it has. */
export type Team = { team_id: string; name: string; created_at: Date; members: number; keys: number };

/** A team that was just made. `key` is its owner's, and kept nowhere. */
export type Founded = { team_id: string; name: string; owner: string; key: string };

/**
 * Makes a team with its first owner, who may be in other teams already, and a key of that one. In a transaction: all of it, or nothing. Throws a
 * CallerError: 409 where the name is taken, 400 where the database takes it for none.
 */
export async function foundTeam(
  db: Db,
  actor: System,
  { name, owner, keyId }: { name: string; owner: string; keyId: string },
): Promise<Founded> {
  const [made] = await db<{ teamId: string }[]>`
    insert into teams (name) values (${name}) on conflict on constraint teams_name_key do nothing returning team_id
  `.catch((error: unknown) => {
    throw formOf(error);
  });
  if (made === undefined) {
    throw new CallerError(
      409,
      "team_exists",
      `There is a team ${name} already. Choose another name, or join that one.`,
    );
  }
  const { teamId: team } = made;
  await audit(db, actor, { action: "team.created", object: ["team", team], team, details: { name, owner } });
  const key = newKey(newPrefix());
  const holder = { team: made.teamId, name: FIRST, user: owner, role: "owner" } as const;
  await putKey(db, actor, { key, keyId }, holder).catch((error: unknown) => {
    throw formOf(error);
  });
  return { team_id: made.teamId, name, owner, key };
}

/** Every team, by name. */
export async function listTeams(db: Db, _actor: System): Promise<Team[]> {
  const rows = await db<(Pick<Team, "name" | "members" | "keys"> & { teamId: string; createdAt: Date })[]>`
    select team_id, name, created_at,
        (select count(*)::int from team_memberships as membership where membership.team_id = teams.team_id) as members,
        (select count(*)::int from api_keys as key where key.team_id = teams.team_id and key.revoked_at is null) as keys
      from teams order by name
  `;
  return rows.map(({ teamId, createdAt, ...team }) => ({ team_id: teamId, ...team, created_at: createdAt }));
}

/** What the constraints of the tables say of a name, for whoever chose it. */
const FORMS: Record<string, string> = {
  teams_name_form: "A team's name is lower-case letters, digits and -, 31 at most, and begins with a letter.",
  users_name_form:
    "An owner's name is at most 200 characters, without a colon or spaces at its ends, such as an e-mail address.",
};

function formOf(error: unknown): unknown {
  const { constraint_name: name = "" } = error as { constraint_name?: string };
  return name in FORMS ? new CallerError(400, "invalid", FORMS[name] ?? "") : error;
}
