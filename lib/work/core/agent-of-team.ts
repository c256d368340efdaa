/** An agent: its name is one of its team. */
export type AgentOfTeam = { teamId: string; agent: string };
