import type { Actor } from "../access/actor.ts";
import { namedIn } from "../access/teams.ts";
import { routerWarnings } from "../router/decide/fallback.ts";
import { refusedToStart } from "../work/core/apart.ts";
import { undeliverable } from "../work/reading/undeliverable.ts";
import type { ControlPlane } from "./control-plane.ts";

const UNSIGNED =
  "What agents say is believed without a signature (AGENT_SIGNATURES=optional). Once all have keys and are up to date, take it out.";

/**
 * What is not right although every part answers, a sentence or two each, with what to do, of the actor's team, of all for the system; none:
 * all is right.
 */
export async function warningsOf({ db, settings }: ControlPlane, actor: Actor): Promise<string[]> {
  const [ofRouter, undelivered, refused] = await Promise.all([
    routerWarnings(db, actor, settings.router),
    undeliverable(db, actor),
    refusedToStart(db, actor),
  ]);
  const ofQueues = undelivered.map(async ({ agent, teamId, messages, reason }) => {
    const what = messages === 1 ? "A message" : `${messages} messages`;
    const team = actor.team === null ? await namedIn(db, teamId) : undefined;
    return `${what} to agent ${agent}${team === undefined ? "" : ` of team ${team}`} cannot be delivered: ${reason}`;
  });
  const ofWork = refused.map(({ taskId, reason }) => `Work ${taskId} waits: ${reason}`);
  const ofSignatures = settings.signing.signatures === "optional" ? [UNSIGNED] : [];
  return [...ofRouter, ...(await Promise.all(ofQueues)), ...ofWork, ...ofSignatures];
}
