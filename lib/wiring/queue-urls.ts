import { DEFAULT_TEAM } from "../access/actor.ts";
import { findQueueUrls } from "../registry/queues.ts";
import type { AgentOfTeam } from "../work/core/agent-of-team.ts";
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
  const others = Map.groupBy(
    agents.filter((of) => named(of) === undefined),
    ({ teamId }) => teamId,
  );
  const defined = new Map<string, Record<string, string>>();
  for (const [team, some] of others)
    defined.set(team, await findQueueUrls(db, team, [...new Set(some.map(({ agent }) => agent))]));
  return (of) => named(of) ?? defined.get(of.teamId)?.[of.agent];
}
