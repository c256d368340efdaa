import type { Db } from "../../runtime/postgres/db.ts";
import type { Routable } from "../score/routable.ts";

/** The active definitions of a team by name, and of which revision of the registry they are. */
export async function findDefinitions(db: Db, team: string): Promise<{ revision: string; definitions: Routable[] }> {
  const [row] = await db<{ revision: string; definitions: Routable[] }[]>`
    select revision::text, coalesce((
      select jsonb_agg(
        parsed_metadata || jsonb_build_object('name', agent_name, 'routable', routable) order by agent_name
      ) from agent_definitions where team_id = ${team} and active
    ), '[]') as definitions
    from registry_state
  `;
  return row ?? { revision: "0", definitions: [] };
}
