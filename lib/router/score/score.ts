import type { Policy, Weights } from "../settings.ts";
import { capabilityScore, requiredCapabilities } from "./capability.ts";
import { type ContextIndex, contextScore, indexContext, surroundingsOf, texts } from "./context.ts";
import type { Candidate, Parts, Ranking } from "./decision.ts";
import { expectationsAt, type History } from "./historical.ts";
import { offers, type Routable, type RouteRequest } from "./routable.ts";
import { indexTriggers, matchTriggers, type TriggerIndex } from "./trigger.ts";

// Who fits a piece of work, and how well. Pure: what is known and the time are arguments. choice.ts decides among them.

/** The definitions, compiled once per revision of the registry. */
export type RouterIndex = { agents: readonly IndexedAgent[]; triggers: TriggerIndex };
type IndexedAgent = {
  name: string;
  routable: boolean;
  workTypes: readonly string[];
  capabilities: ReadonlySet<string>;
  context: ContextIndex;
};

/** Compiles the active definitions, in their order. 1,000 agents with 5 triggers each take some 20 ms. */
export function buildIndex(definitions: readonly Routable[]): RouterIndex {
  return {
    triggers: indexTriggers(definitions),
    agents: definitions.map((definition) => ({
      name: definition.name,
      routable: definition.routable,
      workTypes: definition.work_types,
      capabilities: new Set(definition.capabilities.map((capability) => capability.toLowerCase())),
      context: indexContext(definition),
    })),
  };
}

/**
 * All eligible agents with their confidence, best first: 0.40 trigger + 0.30 context + 0.20 capability + 0.10 historical, or as the policy weighs
 * them. Ties go to the name that comes first. Eligible: routable, offers the work type and what a handover
 * asks for, not excluded. `now` in epoch milliseconds.
 */
export function score(
  index: RouterIndex,
  history: History,
  request: RouteRequest,
  policy: Policy,
  now: number,
): Ranking {
  const excluded = new Set(request.exclude);
  const eligible = index.agents.map(
    (agent) =>
      agent.routable &&
      offersWork(agent, request.work_type) &&
      offersAll(agent, request.capabilities) &&
      !excluded.has(agent.name),
  );
  const isNamed = ({ name }: IndexedAgent) => name === request.to_agent;
  const isFallback = ({ name }: IndexedAgent) => name === policy.fallbackAgent && !excluded.has(name);
  const asked = index.agents.map((agent, position) => eligible[position] || isNamed(agent) || isFallback(agent));

  const scored = scorer(index, history, request, policy.weights, now, (agent) => asked[agent] === true);
  const candidates: Candidate[] = [];
  let named: Candidate | undefined;
  let fallback: Candidate | undefined;
  for (const [position, agent] of index.agents.entries()) {
    if (!asked[position]) continue;
    const candidate = scored(agent, position);
    if (eligible[position]) candidates.push(candidate);
    if (isNamed(agent)) named = candidate;
    if (isFallback(agent)) fallback = candidate;
  }
  candidates.sort(byConfidence);
  return { candidates, named, fallback, known_at: history.at };
}

function scorer(
  index: RouterIndex,
  history: History,
  request: RouteRequest,
  weights: Weights,
  now: number,
  asked: (position: number) => boolean,
) {
  const triggers = matchTriggers(index.triggers, saidIn(request), asked);
  const surroundings = surroundingsOf(request);
  const required = requiredCapabilities(request);
  const expect = expectationsAt(history, request.work_type ?? "", now);
  return (agent: IndexedAgent, position: number): Candidate => {
    const namesWorkType = namesWork(agent, request.work_type);
    const trigger = triggers.get(position);
    const { historical, expectedQuality, observations } = expect(agent.name);
    const parts: Parts = {
      trigger: trigger?.score ?? 0,
      context: contextScore(agent.context, surroundings),
      capability: capabilityScore(agent.capabilities, required, namesWorkType),
      historical,
    };
    return {
      agent: agent.name,
      confidence: weigh(parts, weights),
      parts,
      expected_quality: expectedQuality,
      observations,
      names_work_type: namesWorkType,
      matched: trigger?.matched,
    };
  };
}

/** Rounded to a billionth, so that the order of adding never breaks a tie. */
function weigh(parts: Parts, weights: Weights): number {
  const sum =
    weights.trigger * parts.trigger +
    weights.context * parts.context +
    weights.capability * parts.capability +
    weights.historical * parts.historical;
  return Math.min(1, Math.round(sum * 1e9) / 1e9);
}

function byConfidence(a: Candidate, b: Candidate): number {
  return b.confidence - a.confidence || (a.agent < b.agent ? -1 : 1);
}

function offersWork({ workTypes }: IndexedAgent, workType: string | undefined): boolean {
  return workType === undefined || workTypes.length === 0 || workTypes.some((rule) => offers(rule, workType));
}

function offersAll({ capabilities }: IndexedAgent, required: readonly string[] = []): boolean {
  return required.every((one) => capabilities.has(one.toLowerCase()));
}

function namesWork({ workTypes }: IndexedAgent, workType: string | undefined): boolean {
  return workType !== undefined && workTypes.some((rule) => rule !== "*" && offers(rule, workType));
}

/** Hints that other parts of the score read, or that are no words for a trigger. */
const NOT_WORDS = new Set("project environment language files capabilities parent_task_id concurrency_key".split(" "));
const MOST_HINTS = 50;

/** All that a request says to triggers: its text, its work type, the words of its hints. */
function saidIn({ request_text, work_type, hints = {} }: RouteRequest): string[] {
  const words = Object.entries(hints).flatMap(([key, value]) => (NOT_WORDS.has(key) ? [] : texts(value)));
  return [request_text, work_type ?? "", ...words.slice(0, MOST_HINTS)].filter((text) => text !== "");
}
