import type { Db } from "../runtime/postgres/db.ts";
import { DEFAULT_TEAM } from "./actor.ts";

/** What the queues of a team's agents are called after; undefined for the default team. Throws where there is no such team: an id of ours names one. */
export async function namedIn(db: Db, teamId: string): Promise<string | undefined> {
  if (teamId === DEFAULT_TEAM) return undefined;
  const [row] = await db<{ name: string }[]>`select name from teams where team_id = ${teamId}`;
  if (row === undefined) throw new Error(`There is no team ${teamId}.`);
  return row.name;
}
