import type { Db, Fragment } from "../runtime/postgres/db.ts";
import type { Actor } from "./actor.ts";

/** A condition: the row is of the actor's team; true for one that acts for all. `table` where the statement has several with a team_id. */
export function ofTeam(db: Db, { team }: Pick<Actor, "team">, table?: string): Fragment {
  if (team === null) return db`true`;
  return db`${db(table === undefined ? "team_id" : `${table}.team_id`)} = ${team}`;
}
