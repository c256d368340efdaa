import type { Availability, Candidate, Decision, Ranking } from "../score/decision.ts";
import type { RouteRequest } from "../score/routable.ts";
import type { Policy } from "../settings.ts";

// The words of a decision. Pure.

/** How many agents a decision names beside the chosen one. */
const MOST_ALTERNATIVES = 5;

/** Says of a fallback agent that it cannot be chosen, and what to do. */
export function unknownFallback(name: string): string {
  return `ROUTER_FALLBACK_AGENT names ${name}, which is no active agent (PUT its definition to /agents/${name})`;
}

/** Why the fallback agent does not get the work, in words that go on a sentence; none where there is to be no such agent. */
export function whyNoFallback(
  { fallback }: Ranking,
  request: RouteRequest,
  availability: Availability,
  { fallbackAgent: name }: Policy,
): string {
  if (name === undefined || request.exclude?.includes(name)) return "";
  if (fallback === undefined) return ` and ${unknownFallback(name)}`;
  return ` and the fallback agent ${name} is passed over: ${availability.get(name)?.reason}`;
}

/** Why the work waits for the agent that it names, in words that go on a sentence; none where that agent is there. */
export function whyItWaits({ agent }: Candidate, availability: Availability): string {
  const unavailable = availability.get(agent);
  return unavailable?.kind === "absent" ? `, and the work waits for it: ${unavailable.reason}` : "";
}

/** Why the agent whose outcomes are better goes before the best score. */
export function whyProven(proven: Candidate, best: Candidate): string {
  return `${proven.agent} scores ${figure(proven.confidence)}, near ${best.agent} with ${figure(best.confidence)}, and its ${Math.floor(proven.observations)} outcomes of this type are better: historical ${figure(proven.parts.historical)} against ${figure(best.parts.historical)} (${inWords(proven)})`;
}

/** Why the one agent that names the work type is chosen; `room`: those that are at a limit were left out too. */
export function whyOnly(only: Candidate, { candidates }: Ranking, request: RouteRequest, room: boolean): string {
  const others = candidates.some((other) => other !== only && other.names_work_type);
  const excluded = (request.exclude ?? []).length > 0;
  const of = others
    ? room
      ? "of those that can take work now "
      : "of those that are there "
    : excluded
      ? "of the others "
      : "";
  return `${only.agent} alone ${of}names the work type ${request.work_type}`;
}

/** Why the best score is chosen; `room`: those that are at a limit were left out too. */
export function whyBest(best: Candidate, next: Candidate | undefined, { candidates }: Ranking, room: boolean): string {
  const lead =
    next === undefined
      ? `and no other agent ${candidates.length > 1 ? `that ${room ? "can take work now" : "is there"} ` : ""}offers this work`
      : next.confidence === best.confidence
        ? `as does ${next.agent}, and comes first by name`
        : `ahead of ${next.agent} with ${figure(next.confidence)}`;
  return `${best.agent} scores ${figure(best.confidence)} (${inWords(best)}), ${lead}`;
}

/** Why an agent is tried of which little is known. */
export function whyTried(tried: Candidate, best: Candidate): string {
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

/** Which agents would have come before the chosen one and why they did not, as the end of a sentence; empty: none. */
export function passedOverBefore(ranking: Ranking, chosen: Candidate | undefined, availability: Availability): string {
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

/** The best of those who were not chosen, in order; `passed_over` says why one cannot take work. */
export function alternatives(
  ranking: Ranking,
  chosen: Candidate | undefined,
  availability: Availability,
): Decision["alternatives"] {
  const others = ranking.candidates
    .slice(0, MOST_ALTERNATIVES + 1)
    .filter((candidate) => candidate.agent !== chosen?.agent);
  return others.slice(0, MOST_ALTERNATIVES).map(({ agent, confidence, parts }) => {
    const unavailable = availability.get(agent);
    return unavailable === undefined
      ? { agent, confidence, parts }
      : { agent, confidence, parts, passed_over: unavailable.reason };
  });
}

/** A share as sentences have it: two places. */
export function figure(value: number): string {
  return value.toFixed(2);
}
