import type { Db } from "../runtime/postgres/db.ts";

/** The name of a team. Throws where there is none: an id of ours names one. */
export async function teamNameOf(db: Db, teamId: string): Promise<string> {
  const [row] = await db<{ name: string }[]>`select name from teams where team_id = ${teamId}`;
  if (row === undefined) throw new Error(`There is no team ${teamId}.`);
  return row.name;
}
