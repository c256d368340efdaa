import { DEFAULT_TEAM } from "../access/actor.ts";
import { type AgentOfTeam, agentKey } from "../access/agent-of-team.ts";
import { findQueueUrls } from "../registry/queues.ts";
import type { Edges } from "./edges.ts";
import type { PlaneSettings } from "./settings.ts";

/**
 * The queues of these agents: of those that ship, which are the default team's, as AGENT_QUEUES names them, else as the registry does.
 * Answers a look-up: undefined for an agent that has none.
 */
export async function queueUrls(
  { db, settings }: Pick<Edges, "db"> & { settings: Pick<PlaneSettings, "queues"> },
  agents: readonly AgentOfTeam[],
): Promise<(of: AgentOfTeam) => string | undefined> {
  const named = ({ teamId, agent }: AgentOfTeam) =>
    teamId === DEFAULT_TEAM ? settings.queues.agents[agent] : undefined;
  const others = agents.filter((of) => named(of) === undefined);
  const defined = others.length === 0 ? new Map<string, string>() : await findQueueUrls(db, others);
  return (of) => named(of) ?? defined.get(agentKey(of));
}
