import type { Post } from "../runtime/upstream.ts";
import { type AttemptRecord, type CallFacts, type Outcome, recordOf } from "./account.ts";
import { type Attempt, plainAttempt, streamAttempt } from "./attempt.ts";
import type { Chain, Config, Model, Timeouts } from "./config-schema.ts";
import { bridge } from "./dialect.ts";
import type { Failure } from "./failure.ts";
import type { HealthBook } from "./health.ts";
import type { Json } from "./json.ts";
import type { Keyring } from "./keys.ts";
import { type Candidate, decide, type Plan } from "./routing.ts";
import { newWatch, type Watch } from "./watch.ts";

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

  while (candidate !== undefined) {
    tries++;
    attempts++;
    const { model } = candidate;
    if (candidate.probe) deps.health.probes(model, deps.now());
    const run = begin(deps, call, candidate, attempts, rest.length > 0);
    const key: string | undefined = otherKey ?? (await deps.keys.key(model.provider).catch(() => undefined));
    let committed = false;
    let settled = false;
    const settle = (outcome: Outcome) => {
      if (settled) return;
      settled = true;
      upstreamMs += deps.now() - run.startedAt;
      const record = run.record(outcome, failure);
      costs.push(record.costUsd);
      deps.onAttempt(record, run.attempt.watch);
    };
    failure = undefined;
    let events: ReturnType<typeof streamAttempt> | undefined;
    try {
      const attempt: Attempt = { ...run.attempt, key };
      if (call.mode === "plain") {
        const answer = await plainAttempt(attempt);
        if (answer.ok) {
          run.attempt.watch.finished = true;
          deps.health.answered(model);
          settle("answered");
          return ended({ ok: true, text: answer.text, model });
        }
        failure = answer.failure;
      } else {
        events = streamAttempt(attempt);
        const held: string[] = [];
        for (;;) {
          const step: IteratorResult<string, Failure | undefined> = await events.next();
          if (step.done) {
            failure = step.value;
            break;
          }
          if (committed) yield step.value;
          else if (held.push(step.value) > 0 && call.mode === "live" && attempt.watch.started) {
            committed = true;
            yield held.join("");
          }
        }
        if (failure === undefined) {
          deps.health.answered(model);
          settle("answered");
          if (!committed) yield held.join("");
          return ended({ ok: true, model, committed: true });
        }
      }
      if (call.callerGone.aborted) {
        settle("aborted");
        return ended({ failure, committed, model });
      }
      settle(committed ? "cut" : "failed");
    } finally {
      // Reached with nothing settled when the caller went away and the generator was closed at a yield.
      await events?.return(undefined);
      settle("aborted");
      run.stop();
    }
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

function begin(deps: RouteDeps, call: Call, { model }: Candidate, attemptNumber: number, others: boolean) {
  const startedAt = deps.now();
  const watch = newWatch();
  let sent = false;
  let ttftMs: number | undefined;
  const gone = new AbortController();
  const stop = () => gone.abort();
  if (call.callerGone.aborted) stop();
  call.callerGone.addEventListener("abort", stop, { once: true });
  const wantsUsage = call.body["stream_options"]?.include_usage === true;
  return {
    startedAt,
    stop: () => {
      call.callerGone.removeEventListener("abort", stop);
      stop();
    },
    attempt: {
      model,
      bridge: bridge(call.facts.dialect, model, wantsUsage),
      body: call.body,
      headers: call.headers,
      clocks: clocksFor(deps.config.timeouts, call, model, call.deadline - startedAt, others),
      callerGone: gone.signal,
      watch,
      post: deps.post,
      now: deps.now,
      onSent: () => {
        sent = true;
        deps.onSent(model);
      },
      onFirstToken: () => {
        ttftMs ??= deps.now() - startedAt;
        deps.health.took(model, ttftMs);
      },
    },
    record: (outcome: Outcome, failure: Failure | undefined) =>
      recordOf(
        call.facts,
        {
          attemptId: deps.newId(),
          attemptNumber,
          model,
          watch,
          body: call.body,
          sent,
          ttftMs,
          latencyMs: deps.now() - startedAt,
          startedAt,
        },
        outcome,
        failure,
      ),
  };
}

/** The clocks of one attempt, all inside what is left of the call; a silent vendor leaves the others a share of it. */
function clocksFor(base: Timeouts, { chain }: Call, model: Model, remainingMs: number, others: boolean): Timeouts {
  const pick = (name: keyof Timeouts) => model.timeouts[name] ?? chain.timeouts[name] ?? base[name];
  const left = Math.max(1, remainingMs);
  const silence = others ? left * 0.6 : left;
  return {
    connect_ms: Math.min(pick("connect_ms"), silence),
    first_token_ms: Math.min(pick("first_token_ms"), silence),
    idle_ms: Math.min(pick("idle_ms"), left),
    total_ms: Math.min(pick("total_ms"), left),
  };
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
