import type { Availability, Candidate, Decision, Parts, Ranking } from "../score/decision.ts";
import type { RouteRequest } from "../score/routable.ts";
import type { Policy } from "../settings.ts";
import {
  alternatives,
  figure,
  passedOverBefore,
  whyBest,
  whyItWaits,
  whyNoFallback,
  whyOnly,
  whyProven,
  whyTried,
} from "./reasons.ts";

// Who of the ranked agents gets the work. Pure: who is there and the dice are arguments.

/** With fewer outcomes of this work type, faded, an agent is little known: too few to be preferred for, and worth a try. */
const KNOWN_OUTCOMES = 15;
/** So far ahead in the historical part, outcomes outweigh the score. */
const PROVEN_LEAD = 0.1;
/** Little known, and yet as bad as this: not worth another try. */
const REFUTED = 0.3;
/** Known, and as good as this: nobody else is tried. */
const SATISFYING = 0.8;
/** Multiples of it, less their whole part, lie evenly between 0 and 1. */
const GOLDEN_RATIO = 0.618033988749895;

/**
 * Decides. In order: to_agent, whatever its state; the one agent that names the work type; the best score that reaches the
 * threshold, sought first among the agents that can take work now, then among those that are only at a limit, where the work waits
 * for room; the fallback agent; nobody. With ten per cent for history the words would decide for ever, so outcomes may outweigh the
 * score: of the agents within the margin of the best one goes first that has shown, in enough outcomes, to be clearly better. And
 * for the share `explore` of the requests one of them is tried of which too little is known. `dice`, 0 to below 1, is made from the
 * request: the same request with the same knowledge gets the same answer.
 */
export function choose(
  ranking: Ranking,
  request: RouteRequest,
  availability: Availability,
  policy: Policy,
  dice: number,
): Decision {
  const decided = (chosen: Candidate | undefined, strategy: Decision["strategy"], reason: string): Decision => ({
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
      : decided(
          ranking.named,
          "explicit",
          `to_agent names ${ranking.named.agent}${whyItWaits(ranking.named, availability)}`,
        );

  // The turn moves on with what is known, so that a request that comes again and again is not always, or never, the one that tries.
  const turn = (dice + ranking.known_at * GOLDEN_RATIO) % 1;
  const present = ranking.candidates.filter(({ agent }) => availability.get(agent)?.kind !== "absent");
  const free = present.filter(({ agent }) => !availability.has(agent));
  for (const pool of [free, present]) {
    const [only, another] = pool.filter((candidate) => candidate.names_work_type);
    if (only !== undefined && another === undefined && request.work_type !== undefined)
      return decided(only, "work_type", whyOnly(only, ranking, request, pool === free));
    const [best, next] = pool;
    if (best === undefined || best.confidence < policy.threshold) continue;
    const near = pool.filter(
      ({ confidence }) => confidence >= Math.max(policy.threshold, best.confidence - policy.margin),
    );
    const proven = provenBetter(near, best);
    const tried = turn < policy.explore ? worthATry(near, proven ?? best) : undefined;
    if (tried !== undefined) return decided(tried, "scored", whyTried(tried, best));
    if (proven !== undefined) return decided(proven, "scored", whyProven(proven, best));
    return decided(best, "scored", whyBest(best, next, ranking, pool === free));
  }

  const best = ranking.candidates[0];
  const allAway = best !== undefined && present.length === 0;
  const why =
    best === undefined
      ? "no agent offers this work"
      : allAway
        ? "none of the agents that offer this work is there"
        : `no agent reaches the threshold of ${figure(policy.threshold)}`;
  const waits = "so the work waits for a person";
  if (allAway) return decided(undefined, "none", `${why}, so the work waits for one of them, or for a person`);
  const { fallback } = ranking;
  if (fallback !== undefined && availability.get(fallback.agent)?.kind !== "absent")
    return decided(fallback, "fallback", `${why}, so it goes to the fallback agent ${fallback.agent}`);
  return decided(undefined, "none", `${why}${whyNoFallback(ranking, request, availability, policy)}, ${waits}`);
}

const NO_PARTS: Parts = { trigger: 0, context: 0, capability: 0, historical: 0 };

/** The agent near the best whose outcomes say clearly that it is better. */
function provenBetter(near: readonly Candidate[], best: Candidate): Candidate | undefined {
  const lead = best.parts.historical + PROVEN_LEAD;
  return bestHistory(near.filter((one) => one.observations >= KNOWN_OUTCOMES && one.parts.historical >= lead));
}

/** Of the agents near the best of which too little is known to tell: who has looked best so far, or scores best. */
function worthATry(near: readonly Candidate[], chosen: Candidate): Candidate | undefined {
  if (chosen.observations >= KNOWN_OUTCOMES && chosen.parts.historical >= SATISFYING) return undefined;
  return bestHistory(
    near.filter((one) => one !== chosen && one.observations < KNOWN_OUTCOMES && one.parts.historical > REFUTED),
  );
}

/** The first of those with the best historical part. */
function bestHistory(candidates: readonly Candidate[]): Candidate | undefined {
  return candidates.reduce<Candidate | undefined>(
    (found, one) => (found === undefined || one.parts.historical > found.parts.historical ? one : found),
    undefined,
  );
}
