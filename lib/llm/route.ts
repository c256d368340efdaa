import type { Post } from "../runtime/upstream.ts";
import type { AttemptRecord, CallFacts } from "./account.ts";
import type { Chain, Config, Model } from "./config-schema.ts";
import { type Contender, contend } from "./contender.ts";
import type { Failure } from "./failure.ts";
import type { HealthBook } from "./health.ts";
import type { Json } from "./json.ts";
import type { Keyring } from "./keys.ts";
import { type Candidate, decide, type Plan } from "./routing.ts";
import type { Watch } from "./watch.ts";

/** What the loop needs from outside; tests and the entry points give it. */
export type RouteDeps = {
  config: Pick<Config, "timeouts">;
  keys: Keyring;
  health: HealthBook;
  post: Post;
  now: () => number;
  dice: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  newId: () => string;
  /** An attempt has ended; called once for each. */
  onAttempt: (record: AttemptRecord, watch: Watch) => void;
  /** A prompt is leaving for this model. */
  onSent: (model: Model) => void;
  onWarning: (event: string, fields: Record<string, unknown>) => void;
};

/** One call of a caller. */
export type Call = {
  facts: CallFacts;
  chain: Chain;
  body: Json;
  headers: Record<string, string>;
  /** plain: one JSON answer; live and whole: a stream, given as it comes or when it is complete. */
  mode: "plain" | "live" | "whole";
  plan: Plan;
  callerGone: AbortSignal;
  /** Epoch milliseconds by which the answer must be there. */
  deadline: number;
};

export type Tried = { model: string; class: string; status?: number | undefined; message: string };
export type Result = {
  ok: boolean;
  /** The answer of a plain call. */
  text?: string;
  model?: Model;
  /** What the caller is told where nothing could answer. */
  failure?: Failure;
  tried: Tried[];
  /** Part of the answer had been given when it failed. */
  committed: boolean;
  attempts: number;
  /** Spent on vendors and on waiting for them: the rest of a call's time is ours. */
  upstreamMs: number;
  costUsd: string | null;
};

/**
 * Tries the plan until one answers: the one retry loop. Yields the events of a streamed answer as text and returns how it
 * ended. Nothing of a failed attempt is ever given, except what a live stream had given before it broke.
 */
export async function* route(deps: RouteDeps, call: Call): AsyncGenerator<string, Result> {
  const tried: Tried[] = [];
  let rest: readonly Candidate[] = call.plan.tries.slice(1);
  let candidate = call.plan.tries[0];
  let tries = 0;
  let attempts = 0;
  let upstreamMs = 0;
  let waitedMs = 0;
  let otherKey: string | undefined;
  let failure: Failure | undefined;
  const costs: (string | null)[] = [];
  const ended = (more: Partial<Result>): Result => ({
    ok: false,
    tried,
    committed: false,
    attempts,
    upstreamMs: upstreamMs + waitedMs,
    costUsd: sumOf(costs),
    ...more,
  });

  const start = async (one: Candidate, others: boolean): Promise<Contender> => {
    attempts++;
    if (one.probe) deps.health.probes(one.model, deps.now());
    const key = otherKey ?? (await deps.keys.key(one.model.provider).catch(() => undefined));
    return contend(deps, call, one, { attemptNumber: attempts, others, key }, (ms, costUsd) => {
      upstreamMs += ms;
      costs.push(costUsd);
    });
  };

  while (candidate !== undefined) {
    tries++;
    let contender = await start(candidate, rest.length > 0);
    let second: Contender | undefined;
    let committed = false;
    try {
      const hedgeMs = attempts === 1 ? hedgeDelay(deps, call.chain, candidate) : undefined;
      if (hedgeMs !== undefined && rest[0] !== undefined && !(await readyWithin(contender, hedgeMs))) {
        second = await start(rest[0], rest.length > 1);
        const { winner, loser } = await firstGood(contender, second);
        // Told before it is closed: hanging up on it makes it look failed too.
        const lost = loser.state() === "failed" ? loser.failure() : undefined;
        const before = upstreamMs;
        await loser.close(lost === undefined ? "aborted" : "failed");
        // Both ran at the same time: the call waited for the winner alone.
        upstreamMs = before;
        if (lost !== undefined) {
          deps.health.failed(loser.candidate.model, lost, deps.now());
          tried.push({ model: loser.candidate.model.name, ...told(lost) });
        }
        [contender, second] = [winner, loser];
        if (candidate !== winner.candidate || winner.state() === "failed") rest = rest.slice(1);
        candidate = winner.candidate;
      }
      await contender.ready;
      const given = contender.state() === "failed" ? "" : contender.held();
      if (contender.state() === "streaming") {
        committed = true;
        yield given;
        for (let piece = await contender.next(); piece !== undefined; piece = await contender.next()) yield piece;
      } else if (given !== "") {
        // Answered: kept before it is given, so that a caller who hangs up now does not make it look unfinished.
        await contender.close("answered");
        yield given;
      }
      failure = contender.failure();
      if (contender.state() === "answered") {
        await contender.close("answered");
        const text = contender.text();
        return ended({ ok: true, model: candidate.model, committed: true, ...(text === undefined ? {} : { text }) });
      }
      await contender.close(call.callerGone.aborted ? "aborted" : committed ? "cut" : "failed");
    } finally {
      // Reached with something open when the caller went away and the loop was closed at a yield.
      await contender.close("aborted");
      await second?.close("aborted");
    }
    failure ??= { class: "network", message: "the vendor's connection ended" };
    const { model } = candidate;
    const { key } = contender;
    if (call.callerGone.aborted) return ended({ failure, committed, model });
    const { class: errorClass, status, message } = failure;
    tried.push({ model: model.name, class: errorClass, status, message });
    if (committed) {
      deps.health.failed(model, failure, deps.now());
      return ended({ failure, committed, model });
    }
    if (errorClass === "auth" && otherKey === undefined) {
      otherKey = await deps.keys.other(model.provider, key);
      if (otherKey !== undefined) {
        deps.onWarning("llm key refused, another version tried", { provider: model.provider.name });
        continue;
      }
    }
    const remainingMs = call.deadline - deps.now();
    const step = decide({ chain: call.chain, candidate, failure, tries, rest, remainingMs, dice: deps.dice() });
    if (!(step.do === "retry" && errorClass === "rate_limit")) deps.health.failed(model, failure, deps.now());
    if (errorClass === "auth" || errorClass === "quota" || errorClass === "not_found") {
      deps.onWarning("llm vendor refused", {
        model: model.name,
        provider: model.provider.name,
        error_class: errorClass,
        status,
      });
    }
    if (step.do === "stop" || remainingMs <= 0) break;
    if (step.do === "retry") {
      await deps.sleep(step.waitMs, call.callerGone);
      waitedMs += step.waitMs;
      if (call.callerGone.aborted) return ended({ failure });
      continue;
    }
    [candidate, ...rest] = step.rest as [Candidate, ...Candidate[]];
    tries = 0;
    otherKey = undefined;
  }
  return ended(failure === undefined ? {} : { failure });
}

/** How long the first model is waited for before a second one is started too; undefined where the chain does not hedge. */
function hedgeDelay({ health }: RouteDeps, { hedge }: Chain, { model }: Candidate): number | undefined {
  return hedge === "p95" ? health.p95(model) : hedge?.after_ms;
}

async function readyWithin({ ready }: Contender, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  const outcome = await Promise.race([ready.then(() => true), late]);
  clearTimeout(timer);
  return outcome;
}

/** The one that has something to give first; where one fails, the other is waited for. */
async function firstGood(one: Contender, other: Contender): Promise<{ winner: Contender; loser: Contender }> {
  const early = await Promise.race([one.ready.then(() => one), other.ready.then(() => other)]);
  const late = early === one ? other : one;
  if (early.state() !== "failed") return { winner: early, loser: late };
  await late.ready;
  return { winner: late, loser: early };
}

function told({ class: errorClass, status, message }: Failure): Omit<Tried, "model"> {
  return { class: errorClass, status, message };
}

/** Unknown as soon as one part of it is. */
function sumOf(costs: (string | null)[]): string | null {
  let sum = 0;
  for (const cost of costs) {
    if (cost === null) return null;
    sum += Number(cost);
  }
  return sum.toFixed(10).replace(/\.?0+$/, "") || "0";
}
