import { CallerError } from "../errors.ts";
import { ORCHESTRATOR, Uuid } from "../protocol/messages.ts";
import type { Db, Fragment } from "../runtime/db.ts";
import { availabilityOf } from "./availability.ts";
import { choose } from "./choice.ts";
import type { Candidate, Decision, Parts, Ranking } from "./decision.ts";
import { DecisionCache, diceOf, requestHash } from "./decision-cache.ts";
import { buildHistory, type History } from "./historical.ts";
import { insertMetrics } from "./metrics.ts";
import type { RouteRequest } from "./routable.ts";
import { buildIndex, type RouterIndex, score } from "./router.ts";
import type { RouterSettings } from "./settings.ts";
import { findDefinitions, findPerformance, isAsSeen, type Look, look, type State } from "./snapshot.ts";

/** A decision as it is kept and answered. */
export type Decided = {
  routingId: string;
  agent: string | null;
  routing: Omit<Decision, "agent">;
  /** What the decision took, and how old the scores were that it used: null where they were made for it. */
  measured: { us: number; cacheAgeSeconds: number | null };
  /** Writes the row of the time series from rows named `decided`: (task_id, routed_at, work_type). */
  keep: (db: Db) => Fragment;
  /** A condition: what this was decided on is so still. */
  holds: (db: Db) => Fragment;
};

export type RouterDeps = {
  settings: RouterSettings;
  /** The limit of agents whose definition has none. */
  inFlight: number;
  /** Agents whose queue the environment names. */
  queues: readonly string[];
  newId: () => string;
  now?: () => number;
};

type Snapshot = { revision: string; index: RouterIndex; names: string[] };

/** What was seen of an agent, and when. */
type Sight = { state: State; at: number };

/** Of so many candidates it is asked first whether they are there and have room. */
const FIRST_LOOK = 20;
/** A registry that changes faster than it is read is a fault. */
const MOST_ROUNDS = 5;

/**
 * The router of one instance: keeps the compiled definitions while the registry's revision stays, what the agents have shown for
 * ROUTER_SNAPSHOT_SECONDS, and scores for ROUTER_CACHE_SECONDS. A decision takes one round trip; what it says of presence, load and
 * limits is of that moment. A provisional one takes none where the agents were seen within ROUTER_SNAPSHOT_SECONDS, and is good
 * only where its condition holds. The answered function throws a CallerError where to_agent names no agent.
 */
export function openRouter(
  deps: RouterDeps,
): (db: Db, request: RouteRequest, how?: { provisional: boolean }) => Promise<Decided> {
  const { settings, now = Date.now } = deps;
  const cache = new DecisionCache(settings.ROUTER_CACHE_SECONDS);
  let snapshot: Snapshot | undefined;
  let history: { of: History; at: number } | undefined;
  const sights = new Map<string, Sight>();
  const known = { queues: deps.queues, silentSeconds: settings.AGENT_PRESENCE_SECONDS, inFlight: deps.inFlight };

  const learnt = async (db: Db): Promise<History> => {
    if (history === undefined || now() - history.at >= settings.ROUTER_SNAPSHOT_SECONDS * 1000) {
      const halfLifeMs = settings.ROUTER_HALF_LIFE_DAYS * 86_400_000;
      history = { of: buildHistory(await findPerformance(db), halfLifeMs), at: now() };
    }
    return history.of;
  };
  const lookAt = async (db: Db, agents: string[], parentTaskId: string | undefined): Promise<Look> => {
    const seen = await look(db, agents, { ...known, parentTaskId });
    for (const state of seen.states) sights.set(state.agent, { state, at: now() });
    return seen;
  };
  const seenLately = (agents: string[]): State[] | undefined => {
    const since = now() - settings.ROUTER_SNAPSHOT_SECONDS * 1000;
    const states = agents.flatMap((agent) => {
      const sight = sights.get(agent);
      return sight !== undefined && sight.at > since ? [sight.state] : [];
    });
    return states.length === agents.length ? states : undefined;
  };

  return async (db, asked, { provisional } = { provisional: false }) => {
    const started = performance.now();
    const parentTaskId = parentOf(asked);
    const parent = parentTaskId === undefined ? null : (await lookAt(db, [], parentTaskId)).parentAgent;
    const request = parent === null ? asked : { ...asked, parent_agent: parent };
    const hash = requestHash(request);

    for (let round = 0; round < MOST_ROUNDS; round++) {
      snapshot ??= await load(db);
      const { revision, index, names } = snapshot;
      const kept = cache.get(hash, revision, now());
      const ranking = kept?.ranking ?? score(index, await learnt(db), request, settings, now());
      let asking = firstAsked(ranking);
      const measured = () => ({
        us: Math.round((performance.now() - started) * 1000),
        cacheAgeSeconds: kept?.ageSeconds ?? null,
      });
      const lately = provisional && isKnown(request, ranking) ? seenLately(asking) : undefined;
      if (lately !== undefined) {
        const decision = decide(ranking, request, lately, settings, hash);
        if (decision.agent === null || asking.includes(decision.agent)) {
          if (kept === undefined) cache.set(hash, revision, ranking, now());
          // Who is named gets the work whatever its state.
          const holds = (to: Db) => isAsSeen(to, revision, decision.strategy === "explicit" ? [] : lately, known);
          return decided(deps.newId(), decision, hash, measured(), holds);
        }
      }
      let seen: Look = await lookAt(db, asking, undefined);
      let decision = decide(ranking, request, seen.states, settings, hash);
      if (decision.agent !== null && !asking.includes(decision.agent)) {
        asking = [...asking, ...ranking.candidates.map(({ agent }) => agent)];
        seen = await lookAt(db, asking, undefined);
        decision = decide(ranking, request, seen.states, settings, hash);
      }
      if (seen.revision !== revision) {
        snapshot = undefined;
        sights.clear();
        continue;
      }
      if (kept === undefined) cache.set(hash, revision, ranking, now());
      refuseUnknown(request, ranking, names);
      return decided(deps.newId(), decision, hash, measured(), (to) => to`true`);
    }
    throw new Error("the registry changed with every look at it");
  };
}

async function load(db: Db): Promise<Snapshot> {
  const { revision, definitions } = await findDefinitions(db);
  return { revision, index: buildIndex(definitions), names: definitions.map(({ name }) => name) };
}

function parentOf({ hints }: RouteRequest): string | undefined {
  const parsed = Uuid.safeParse(hints?.["parent_task_id"]);
  return parsed.success ? parsed.data : undefined;
}

function firstAsked({ candidates, named, fallback }: Ranking): string[] {
  const first: (Candidate | undefined)[] = [...candidates.slice(0, FIRST_LOOK), named, fallback];
  return first.flatMap((candidate) => (candidate === undefined ? [] : [candidate.agent]));
}

function decide(
  ranking: Ranking,
  request: RouteRequest,
  states: State[],
  settings: RouterSettings,
  hash: Buffer,
): Decision {
  return choose(ranking, request, availabilityOf(states), settings, diceOf(hash));
}

function isKnown({ to_agent }: RouteRequest, { named }: Ranking): boolean {
  return to_agent === undefined || (named !== undefined && to_agent !== ORCHESTRATOR);
}

function refuseUnknown(request: RouteRequest, ranking: Ranking, names: string[]): void {
  const { to_agent } = request;
  if (isKnown(request, ranking)) return;
  const agents = names.filter((name) => name !== ORCHESTRATOR).toSorted();
  const why = to_agent === ORCHESTRATOR ? "is not an agent" : "is not known";
  const message = `${why}. ${agents.length === 0 ? "There are no agents yet." : `Agents are: ${agents.join(", ")}.`}`;
  throw new CallerError(400, "invalid_input", `to_agent ${message}`, { fields: [{ field: "to_agent", message }] });
}

function decided(
  routingId: string,
  { agent, ...decision }: Decision,
  hash: Buffer,
  measured: Decided["measured"],
  holds: Decided["holds"],
): Decided {
  const routing = {
    ...decision,
    confidence: rounded(decision.confidence),
    parts: roundedParts(decision.parts),
    alternatives: decision.alternatives.map((other) => ({
      ...other,
      confidence: rounded(other.confidence),
      parts: roundedParts(other.parts),
    })),
  };
  const keep = (db: Db) => insertMetrics(db, { routingId, agent, routing, hash, measured });
  return { routingId, agent, routing, measured, keep, holds };
}

function roundedParts({ trigger, context, capability, historical }: Parts): Parts {
  return {
    trigger: rounded(trigger),
    context: rounded(context),
    capability: rounded(capability),
    historical: rounded(historical),
  };
}

/** As the database keeps it. */
function rounded(share: number): number {
  return Math.round(Math.min(1, Math.max(0, share)) * 10_000) / 10_000;
}
