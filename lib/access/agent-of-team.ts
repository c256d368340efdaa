/** An agent: its name is one of its team. */
export type AgentOfTeam = { teamId: string; agent: string };

/** An agent in one word, the same for the same one, as the key of a map. */
export function agentKey({ teamId, agent }: AgentOfTeam): string {
  return `${teamId} ${agent}`;
}
