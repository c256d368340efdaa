import { choose } from "../../lib/router/decide/choice.ts";
import type { Candidate, Ranking } from "../../lib/router/score/decision.ts";
import { type Performance, withFeedback } from "../../lib/router/score/fading.ts";
import { buildHistory } from "../../lib/router/score/historical.ts";
import { buildIndex, score } from "../../lib/router/score/score.ts";
import { routerSettings } from "../../lib/router/settings.ts";
import { diceOf, requestHash } from "../../lib/router/snapshot/request-hash.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { withOutcome } from "./outcomes.ts";
import { type Labelled, randomOf, type World, worldOf } from "./world.ts";

/** What one way of choosing came to, over all decisions in their order. */
export type Run = { best: boolean[]; expected: number[]; obtained: number[] };
export type Names = "random" | "trigger-only" | "router" | "oracle";
export type Simulated = {
  seed: number;
  runs: Record<Names, Run>;
  /** Of the router: its confidence and the quality that it is held against afterwards, and the expected quality of its history. */
  predictions: { confidence: number; expected: number; actual: number }[];
  strategies: Map<string, number>;
};

/** So much time between one request and the next: 10,000 are two weeks. */
const BETWEEN_MS = 2 * 60_000;
/** So often does a person say what he thinks of the work, a day later. */
const FEEDBACK = 0.1;
const FEEDBACK_AFTER_MS = 86_400_000;

/**
 * Sends the same requests through four ways of choosing. The router sees what a real one sees: definitions, requests, and outcomes
 * once they have come: success, attempts, time, and now and then a person's word. The true quality is drawn in `world` and shown to nobody.
 */
export function simulate(seed: number, decisions: number, env: Record<string, string> = {}): Simulated {
  const world = worldOf(seed);
  const settings = readSettings(routerSettings, env);
  const halfLifeMs = settings.halfLifeDays * 86_400_000;
  const index = buildIndex(world.definitions);
  const draw = randomOf(seed + 1_000_000);
  const outcomes = randomOf(seed + 2_000_000);
  const runs: Simulated["runs"] = { random: empty(), "trigger-only": empty(), router: empty(), oracle: empty() };
  const predictions: Simulated["predictions"] = [];
  const strategies = new Map<string, number>();
  const known = new Map<string, Performance>();
  const pending = new Agenda();

  for (let number = 0; number < decisions; number++) {
    const now = number * BETWEEN_MS;
    for (const learn of pending.until(now)) learn();
    const request = world.requests[Math.floor(draw() * world.requests.length)] as Labelled;
    const asked = { request_text: request.text, work_type: request.work_type };
    const ranking = score(index, buildHistory([...known.values()], halfLifeMs), asked, settings, now);
    const decision = choose(ranking, asked, new Map(), settings, diceOf(requestHash(asked)));
    strategies.set(decision.strategy, (strategies.get(decision.strategy) ?? 0) + 1);
    // Nobody chosen: a person is asked, and is held to take what the router puts first.
    const chosen = ranking.candidates.find(({ agent }) => agent === decision.agent) ?? ranking.candidates[0];
    if (chosen === undefined) throw new Error(`no agent offers ${request.work_type}`);

    const judge = (run: Run, agent: string) => note(run, world, ranking, agent, request.kind, outcomes);
    judge(runs.random, pick(ranking, draw()));
    judge(runs["trigger-only"], byTrigger(ranking));
    judge(runs.oracle, oracle(world, ranking, request.kind));
    const ended = judge(runs.router, chosen.agent);

    const completed_at = now + ended.time_ms;
    const key = `${chosen.agent} ${request.work_type}`;
    const row = { agent: chosen.agent, work_type: request.work_type };
    const outcome = { succeeded: ended.succeeded, quality: ended.seen, time_ms: ended.time_ms, completed_at };
    pending.add(completed_at, () => known.set(key, { ...row, ...withOutcome(known.get(key), outcome, halfLifeMs) }));
    const judged = outcomes() < FEEDBACK;
    if (judged)
      pending.add(completed_at + FEEDBACK_AFTER_MS, () => {
        const before = known.get(key);
        if (before === undefined) return;
        const earlier = { quality: ended.seen, weight: 1 };
        known.set(key, { ...row, ...withFeedback(before, earlier, ended.quality, completed_at, halfLifeMs) });
      });
    predictions.push({
      confidence: chosen.confidence,
      expected: chosen.expected_quality,
      actual: judged ? ended.quality : ended.seen,
    });
  }
  return { seed, runs, predictions, strategies };
}

function note(run: Run, world: World, ranking: Ranking, agent: string, kind: string, random: () => number) {
  const ended = world.work(agent, kind, random);
  const expected = world.expected(agent, kind);
  run.best.push(expected >= world.expected(oracle(world, ranking, kind), kind));
  run.expected.push(expected);
  run.obtained.push(ended.quality);
  return ended;
}

function pick({ candidates }: Ranking, dice: number): string {
  return (candidates[Math.floor(dice * candidates.length)] as Candidate).agent;
}

/** The best trigger; ties by name, as the router does. */
function byTrigger({ candidates }: Ranking): string {
  return (candidates.toSorted(triggerFirst)[0] as Candidate).agent;
}

function triggerFirst(a: Candidate, b: Candidate): number {
  return b.parts.trigger - a.parts.trigger || (a.agent < b.agent ? -1 : 1);
}

/** The best of the agents that offer the work type, by the true skills. */
function oracle(world: World, { candidates }: Ranking, kind: string): string {
  return candidates.reduce(
    (best, { agent }) => (world.expected(agent, kind) > world.expected(best.agent, kind) ? { agent } : best),
    {
      agent: (candidates[0] as Candidate).agent,
    },
  ).agent;
}

function empty(): Run {
  return { best: [], expected: [], obtained: [] };
}

/** What will happen, by its time. */
class Agenda {
  #entries: { at: number; learn: () => void }[] = [];

  add(at: number, learn: () => void): void {
    this.#entries.push({ at, learn });
  }

  /** What has happened until now, in its order; it is taken off the list. */
  until(now: number): (() => void)[] {
    const due = this.#entries.filter(({ at }) => at <= now).toSorted((a, b) => a.at - b.at);
    if (due.length > 0) this.#entries = this.#entries.filter(({ at }) => at > now);
    return due.map(({ learn }) => learn);
  }
}
