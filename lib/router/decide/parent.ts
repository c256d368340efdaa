import type { Db } from "../../runtime/postgres/db.ts";

/** The agent that work has; null where it has none, or there is no such work. */
export async function findParentAgent(db: Db, team: string, taskId: string): Promise<string | null> {
  const [row] = await db<{ toAgent: string | null }[]>`
    select to_agent from tasks where team_id = ${team} and task_id = ${taskId}
  `;
  return row?.toAgent ?? null;
}
