import { dictionary } from "../input/dictionary.ts";
import type { Db } from "../runtime/postgres/db.ts";

/** The queue URLs of those of these agents of a team that have one, by agent: of the active version, else of the latest, for what it was given before it was deactivated. */
export async function findQueueUrls(db: Db, team: string, agents: readonly string[]): Promise<Record<string, string>> {
  const rows = await db<{ agentName: string; queueUrl: string | null }[]>`
    select distinct on (agent_name) agent_name, queue_url from agent_definitions
    where team_id = ${team} and agent_name = any(${agents as string[]}::text[])
    order by agent_name, active desc, updated_at desc
  `;
  const known = rows.flatMap(({ agentName, queueUrl }) => (queueUrl === null ? [] : [[agentName, queueUrl] as const]));
  return dictionary(Object.fromEntries(known));
}
