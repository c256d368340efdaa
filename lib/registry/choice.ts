import type { Alternative, Availability, Candidate, Decision, Parts, Ranking, Strategy } from "./decision.ts";
import type { RouteRequest } from "./routable.ts";
import type { Policy } from "./settings.ts";

/** Who of the ranked agents gets the work. Pure: who is there and the dice are arguments. */

const MOST_ALTERNATIVES = 5;
/** An agent is tried though another scores better while it is less known than this, and behind by no more than this. */
const KNOWN_OUTCOMES = 20;
const EXPLORE_WITHIN = 0.1;

/**
 * Decides. In order: to_agent, whatever its state; the one agent that names the work type; the best score that reaches the
 * threshold, sought first among the agents that can take work now, then among those that are only at a limit, where the work waits
 * for room; the fallback agent; nobody. `dice`, 0 to below 1 and made from the request, lets a share of the requests go to a little
 * known agent that scores nearly as well: the same request with the same knowledge gets the same answer.
 */
export function choose(
  ranking: Ranking,
  request: RouteRequest,
  availability: Availability,
  policy: Policy,
  dice: number,
): Decision {
  const decided = (chosen: Candidate | undefined, strategy: Strategy, reason: string): Decision => ({
    agent: chosen?.agent ?? null,
    confidence: chosen?.confidence ?? 0,
    parts: chosen?.parts ?? NO_PARTS,
    strategy,
    reason: `${reason}${passedOverBefore(ranking, chosen, availability)}.`,
    alternatives: alternatives(ranking, chosen, availability),
  });

  if (request.to_agent !== undefined)
    return ranking.named === undefined
      ? decided(undefined, "none", `to_agent names ${request.to_agent}, which is not known`)
      : decided(ranking.named, "explicit", `to_agent names ${ranking.named.agent}`);

  const present = ranking.candidates.filter(({ agent }) => availability.get(agent)?.kind !== "absent");
  const free = present.filter(({ agent }) => !availability.has(agent));
  for (const pool of [free, present]) {
    const [only, another] = pool.filter((candidate) => candidate.names_work_type);
    if (only !== undefined && another === undefined && request.work_type !== undefined)
      return decided(only, "work_type", `${only.agent} alone names the work type ${request.work_type}`);
    const [best, next] = pool;
    if (best === undefined || best.confidence < policy.ROUTER_THRESHOLD) continue;
    const tried = dice < policy.ROUTER_EXPLORE ? littleKnown(pool, best, policy) : undefined;
    return tried === undefined
      ? decided(best, "scored", whyBest(best, next))
      : decided(tried, "scored", whyTried(tried, best));
  }

  const { fallback } = ranking;
  const best = ranking.candidates[0];
  const why =
    best === undefined
      ? "no agent offers this work"
      : present.length === 0
        ? "no agent that offers this work has given a sign of life"
        : `no agent reaches the threshold of ${figure(policy.ROUTER_THRESHOLD)}`;
  if (
    fallback !== undefined &&
    availability.get(fallback.agent)?.kind !== "absent" &&
    (best === undefined || present.length > 0)
  )
    return decided(fallback, "fallback", `${why}, so it goes to the fallback agent ${fallback.agent}`);
  return decided(undefined, "none", `${why}, so the work waits for a person`);
}

const NO_PARTS: Parts = { trigger: 0, context: 0, capability: 0, historical: 0 };

/** The least known of the agents near the best that would do. */
function littleKnown(pool: readonly Candidate[], best: Candidate, policy: Policy): Candidate | undefined {
  const least = Math.max(policy.ROUTER_THRESHOLD, best.confidence - EXPLORE_WITHIN);
  return pool
    .filter(({ confidence, observations }) => confidence >= least && observations < KNOWN_OUTCOMES)
    .reduce<Candidate | undefined>(
      (found, one) => (found === undefined || one.observations < found.observations ? one : found),
      undefined,
    );
}

function whyBest(best: Candidate, next: Candidate | undefined): string {
  const lead =
    next === undefined
      ? "and no other agent offers this work"
      : next.confidence === best.confidence
        ? `as does ${next.agent}, and comes first by name`
        : `ahead of ${next.agent} with ${figure(next.confidence)}`;
  return `${best.agent} scores ${figure(best.confidence)} (${inWords(best)}), ${lead}`;
}

function whyTried(tried: Candidate, best: Candidate): string {
  const near =
    tried === best
      ? "scores best"
      : `scores ${figure(tried.confidence)}, near ${best.agent} with ${figure(best.confidence)},`;
  return `${tried.agent} ${near} and is tried as little is known of its work of this type (${inWords(tried)})`;
}

function inWords({ parts, matched }: Candidate): string {
  const trigger = matched === undefined ? "no trigger" : `trigger ${JSON.stringify(matched)} ${figure(parts.trigger)}`;
  return `${trigger}, context ${figure(parts.context)}, capability ${figure(parts.capability)}, historical ${figure(parts.historical)}`;
}

/** Names the agents that would have come before the chosen one. */
function passedOverBefore(ranking: Ranking, chosen: Candidate | undefined, availability: Availability): string {
  if (chosen !== undefined && chosen === ranking.named) return "";
  const { candidates } = ranking;
  const before = candidates.slice(
    0,
    chosen === undefined ? candidates.length : Math.max(0, candidates.indexOf(chosen)),
  );
  const passed = before.flatMap(({ agent }) => {
    const unavailable = availability.get(agent);
    return unavailable === undefined ? [] : [`${agent} is passed over: ${unavailable.reason}`];
  });
  const told = passed.slice(0, MOST_ALTERNATIVES);
  const rest = passed.length > told.length ? [`${passed.length - told.length} more`] : [];
  return told.length === 0 ? "" : `; ${[...told, ...rest].join(", ")}`;
}

function alternatives(ranking: Ranking, chosen: Candidate | undefined, availability: Availability): Alternative[] {
  const others = ranking.candidates.filter((candidate) => candidate.agent !== chosen?.agent);
  return others.slice(0, MOST_ALTERNATIVES).map(({ agent, confidence, parts }) => {
    const unavailable = availability.get(agent);
    return unavailable === undefined
      ? { agent, confidence, parts }
      : { agent, confidence, parts, passed_over: unavailable.reason };
  });
}

function figure(value: number): string {
  return value.toFixed(2);
}
