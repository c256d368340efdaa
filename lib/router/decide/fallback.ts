import { type Actor, DEFAULT_TEAM } from "../../access/actor.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { RouterSettings } from "../settings.ts";
import { unknownFallback } from "./reasons.ts";

/** What is wrong with the router's settings as far as only the registry can tell, a sentence each, with what to do; none: all is right. */
export async function routerWarnings(
  db: Db,
  { team }: Actor,
  { fallbackAgent: name }: Pick<RouterSettings, "fallbackAgent">,
): Promise<string[]> {
  if (name === undefined) return [];
  const active =
    await db`select from agent_definitions where team_id = ${team ?? DEFAULT_TEAM} and agent_name = ${name} and active`;
  return active.length > 0 ? [] : [unknownFallback(name)];
}
