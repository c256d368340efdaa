import type { AgentOfTeam } from "../access/agent-of-team.ts";
import type { ControlPlane } from "./control-plane.ts";
import { queueUrls } from "./queue-urls.ts";
import { isMissing } from "./refusals.ts";

const ASK_MS = 2_000;

/**
 * Of these agents, those whose queue holds nothing, visible, in flight or delayed, or is not there any more: nobody can have what was sent
 * to them. None while the results queue holds anything, which may say that it was taken; nor one whose messages the bridge carries on, as
 * they may wait at the broker; nor one of whose queue SQS does not tell.
 */
export async function nobodyHas(plane: ControlPlane, agents: readonly AgentOfTeam[]): Promise<AgentOfTeam[]> {
  const { settings, edges, log } = plane;
  const { counts, isCarried } = edges.queues;
  const isEmpty = async (url: string) => {
    const { waiting, in_flight } = await counts(url, AbortSignal.timeout(ASK_MS));
    return waiting + in_flight === 0;
  };
  const isWithNobody = async (agent: string, url: string | undefined) => {
    try {
      return url !== undefined && (await isEmpty(url)) && !(await isCarried(url, AbortSignal.timeout(ASK_MS)));
    } catch (error) {
      if (!isMissing(error)) log.warn("queue not counted", { agent, error });
      return isMissing(error);
    }
  };
  const urlOf = await queueUrls(plane, agents);
  const asked = await Promise.all(agents.map(async (of) => ((await isWithNobody(of.agent, urlOf(of))) ? [of] : [])));
  const found = asked.flat();
  if (found.length === 0) return [];
  // Last: what an agent has finished with meanwhile is told there by now.
  const isQuiet = await isEmpty(settings.queues.results).catch(() => false);
  return isQuiet ? found : [];
}
