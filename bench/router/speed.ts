import { choose } from "../../lib/router/decide/choice.ts";
import type { Performance } from "../../lib/router/score/fading.ts";
import { buildHistory } from "../../lib/router/score/historical.ts";
import type { Routable } from "../../lib/router/score/routable.ts";
import { buildIndex, score } from "../../lib/router/score/score.ts";
import { routerSettings } from "../../lib/router/settings.ts";
import { RankingCache } from "../../lib/router/snapshot/ranking-cache.ts";
import { diceOf, requestHash } from "../../lib/router/snapshot/request-hash.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { percentile } from "../measure.ts";
import { randomOf, type World } from "./world.ts";

export type Speed = { agents: number; indexMs: number; coldUs: [number, number]; cachedUs: [number, number] };

const ROUNDS = 5;

/**
 * Microseconds of a decision, p50 and p99, among so many agents that all offer the work, each with five phrases of the requests' own
 * words, `patterns` of them a pattern too, and with a history; of each request the best of five, as others use the machine. Cold: hash, score, choice. Cached: hash, look-up, choice.
 */
export function measureSpeed(world: World, agents: number, patterns: number, seed: number): Speed {
  const settings = readSettings(routerSettings, {});
  const definitions = crowd(world, agents, patterns, randomOf(seed));
  const history = buildHistory(
    definitions.map(({ name }): Performance => ({ ...KNOWN, agent: name })),
    86_400_000,
  );
  const begun = performance.now();
  const index = buildIndex(definitions);
  const indexMs = performance.now() - begun;
  const cache = new RankingCache(60);
  const decide = (text: string, cached: boolean): number => {
    const started = performance.now();
    const request = { request_text: text, work_type: "code.task" };
    const hash = requestHash(request);
    const kept = cached ? cache.get(hash, "1", 0)?.ranking : undefined;
    const ranking = kept ?? score(index, history, request, settings, 0);
    choose(ranking, request, new Map(), settings, diceOf(hash));
    const us = (performance.now() - started) * 1000;
    if (cached && kept === undefined) cache.set(hash, "1", ranking, 0);
    return us;
  };
  const texts = world.requests.map(({ text }) => text);
  const run = (cached: boolean, some: string[]): [number, number] => {
    for (const text of some) decide(text, cached);
    const times = some.map((text) => Math.min(...Array.from({ length: ROUNDS }, () => decide(text, cached))));
    return [percentile(times, 0.5), percentile(times, 0.99)];
  };
  // With 1,000 agents the cache holds the scores of 49 requests.
  return { agents, indexMs, coldUs: run(false, texts), cachedUs: run(true, texts.slice(0, 40)) };
}

const KNOWN: Performance = {
  agent: "",
  work_type: "code.task",
  weight: 20,
  success_sum: 16,
  quality_weight: 20,
  quality_sum: 15,
  time_weight: 20,
  time_ms_sum: 400_000,
  observed_at: 0,
};

function crowd(world: World, agents: number, patterns: number, random: () => number): Routable[] {
  const words = world.requests.map(({ text }) => text.toLowerCase().match(/\p{L}+/gu) ?? []);
  const vocabulary = words.flat().filter((word) => word.length > 3);
  const any = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const phrase = () => {
    const sentence = any(words);
    const start = Math.floor(random() * Math.max(1, sentence.length - 2));
    return { phrase: sentence.slice(start, start + 3).join(" ") };
  };
  return Array.from({ length: agents }, (_, number) => ({
    name: `agent-${number}`,
    triggers: [
      ...Array.from({ length: 4 }, phrase),
      number < patterns ? { pattern: `\\b(${any(vocabulary)}|${any(vocabulary)})\\b` } : phrase(),
    ],
    capabilities: ["git", "shell"],
    work_types: ["code.*"],
    routable: true,
    routing: { projects: [], environments: [], languages: [], files: [], after: [] },
  }));
}
