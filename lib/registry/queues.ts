import { type AgentOfTeam, agentKey } from "../access/agent-of-team.ts";
import type { Db } from "../runtime/postgres/db.ts";

/**
 * The queue URLs of those of these agents that have one, by agentKey: of the active version, else of the latest, for what it was given
 * before it was deactivated.
 */
export async function findQueueUrls(db: Db, agents: readonly AgentOfTeam[]): Promise<Map<string, string>> {
  const rows = await db<(AgentOfTeam & { queueUrl: string | null })[]>`
    select distinct on (team_id, agent_name) team_id, agent_name as agent, queue_url from agent_definitions
    where (team_id, agent_name) in (
      select * from unnest(${agents.map(({ teamId }) => teamId)}::uuid[], ${agents.map(({ agent }) => agent)}::text[])
    )
    order by team_id, agent_name, active desc, updated_at desc
  `;
  return new Map(rows.flatMap(({ queueUrl, ...of }) => (queueUrl === null ? [] : [[agentKey(of), queueUrl] as const])));
}
