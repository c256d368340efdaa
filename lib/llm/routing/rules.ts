import { backoff } from "../../backoff.ts";
import type { ErrorClass, Failure } from "../config/failure.ts";
import { SWITCHED_OFF } from "../config/failure.ts";
import type { Capability, Chain, Model, Rule } from "../config/schema.ts";

/** Who is tried, in which order, and what follows a failure. Pure: the time and the dice are arguments. */

/** What a call needs of a model. `tokens` is what its input and the answer asked for take up, estimated. */
export type Needs = { can: Capability[]; tokens: number; localOnly: boolean; maxUsd?: number; minWindow?: number };

/** What is known about a model, or about a provider's key, in this process. Times are epoch milliseconds. */
export type Health = { failures: number; opens: number; openUntil: number; probingUntil: number };

export type Candidate = { model: Model; probe: boolean };
export type Skipped = { model: Model; reason: string };
export type Plan = { tries: Candidate[]; skipped: Skipped[] };

/** The first opening of a breaker, doubled with each failed probe up to the longest: a recovered model serves again within it. */
const FIRST_OPEN_MS = 2_000;
const LONGEST_OPEN_MS = 15_000;
/** So many failures in a row are an outage; silence past the clock counts double, as each costs a caller its patience. */
const FAILURES_TO_OPEN = 3;
const KEY_COOLED_MS = 30_000;
const LONGEST_COOLED_MS = 600_000;
const PROBE_MS = 30_000;

const DEFAULT_RULES: Record<Exclude<ErrorClass, "switched_off">, Rule> = {
  rate_limit: "retry",
  quota: "next",
  auth: "next",
  not_found: "next",
  context_window: "next",
  content_policy: "stop",
  bad_request: "stop",
  timeout: "next",
  server_error: "retry",
  network: "retry",
  cut_stream: "next",
  bad_answer: "next",
};

/**
 * The models that can do what is needed, in the chain's order: healthy ones and those due for a probe. Where all that fit are
 * cooled they are tried all the same, as an answer that may fail is better than none.
 */
export function plan(
  models: readonly Model[],
  needs: Needs,
  context: {
    health: (model: Model) => (Health | undefined)[];
    external: boolean;
    usd: (model: Model) => number;
    now: number;
  },
): Plan {
  const tries: Candidate[] = [];
  const cooled: Candidate[] = [];
  const skipped: Skipped[] = [];
  for (const model of models) {
    const reason = unfit(model, needs, context);
    if (reason !== undefined) {
      skipped.push({ model, reason });
      continue;
    }
    const states = context.health(model).map((health) => stateOf(health, context.now));
    if (states.includes("open")) {
      cooled.push({ model, probe: true });
      skipped.push({ model, reason: "cooled after failures" });
    } else tries.push({ model, probe: states.includes("probe") });
  }
  return tries.length > 0 || cooled.length === 0
    ? { tries, skipped }
    : { tries: cooled, skipped: skipped.filter(({ model }) => !cooled.some((one) => one.model === model)) };
}

function unfit(
  model: Model,
  needs: Needs,
  { external, usd }: { external: boolean; usd: (model: Model) => number },
): string | undefined {
  if (needs.localOnly && !model.provider.local) return "the call is local-only";
  if (!external && !model.provider.local) return SWITCHED_OFF.message;
  const lacks = needs.can.filter((capability) => !model.can.includes(capability));
  if (lacks.length > 0) return `cannot do ${lacks.join(", ")}`;
  if (needs.tokens > model.window) return `the window of ${model.window} tokens is too small for about ${needs.tokens}`;
  if (needs.minWindow !== undefined && model.window < needs.minWindow) return `the window is under ${needs.minWindow}`;
  if (needs.maxUsd !== undefined && usd(model) > needs.maxUsd) return `may cost more than ${needs.maxUsd} USD`;
  return undefined;
}

/** Closed: use it. Open: leave it alone. Probe: one call may find out whether it is back. */
export function stateOf(health: Health | undefined, now: number): "closed" | "open" | "probe" {
  if (health === undefined || health.openUntil === 0) return "closed";
  if (health.openUntil > now || health.probingUntil > now) return "open";
  return "probe";
}

/** A probe has been sent: others keep away until it has told, or has taken too long to. */
export function probing(health: Health, now: number): Health {
  return { ...health, probingUntil: now + PROBE_MS };
}

/** What is known after a failure: of the provider's key for a refused or exhausted one, of the model otherwise. */
export function afterFailure(before: Health | undefined, failure: Failure, now: number): Health | undefined {
  const health = before ?? { failures: 0, opens: 0, openUntil: 0, probingUntil: 0 };
  const wait = Math.min(failure.retryAfterMs ?? 0, LONGEST_COOLED_MS);
  switch (failure.class) {
    case "auth":
    case "quota":
    case "not_found":
      return { ...health, openUntil: now + Math.max(KEY_COOLED_MS, wait), probingUntil: 0 };
    case "rate_limit":
      return { ...health, openUntil: now + Math.max(FIRST_OPEN_MS, wait), probingUntil: 0 };
    case "timeout":
    case "server_error":
    case "network":
    case "cut_stream":
    case "bad_answer": {
      const failures = health.failures + (failure.class === "timeout" ? 2 : 1);
      const failedProbe = health.openUntil > 0 && health.openUntil <= now;
      if (failures < FAILURES_TO_OPEN && !failedProbe) return { ...health, failures };
      const openMs = Math.max(wait, Math.min(FIRST_OPEN_MS * 2 ** health.opens, LONGEST_OPEN_MS));
      return { failures, opens: Math.min(health.opens + 1, 10), openUntil: now + openMs, probingUntil: 0 };
    }
    case "context_window":
    case "content_policy":
    case "bad_request":
    case "switched_off":
      // The request is at fault, or we are: the vendor is as well as it was.
      return before === undefined ? undefined : { ...before, probingUntil: 0 };
  }
}

/** Whether a failure cools the provider's key rather than the one model. */
export function coolsKey(failure: Failure): boolean {
  return failure.class === "auth" || failure.class === "quota";
}

/** What is known when it is asked what a call does next. */
export type Situation = {
  chain: Pick<Chain, "on" | "rate_limit_wait_ms">;
  /** Who was asked last, and how often in a row; undefined before anybody was. */
  candidate: Candidate | undefined;
  tries: number;
  /** Why the last attempt failed. */
  failure: Failure | undefined;
  /** The candidates after this one. */
  rest: readonly Candidate[];
  /** How many attempts are under way; none where it is left out. */
  underWay?: number;
  /** How long the first attempt is waited for before a second one is started beside it; undefined where none is. */
  hedgeMs?: number | undefined;
  /** The key of this candidate may still be replaced. */
  keyMayChange?: boolean;
  callerGone?: boolean;
  remainingMs: number;
  /** From 0 to 1. */
  dice: number;
};

/** What a call does next: `next` asks the first of `rest`, beside those under way; `wait` without `ms` is until one is ready. */
export type NextStep =
  | { do: "wait"; ms?: number }
  | { do: "retry"; waitMs: number }
  | { do: "renew key" }
  | { do: "next"; rest: readonly Candidate[] }
  | { do: "stop" };

/** The one place where it is decided who is asked, waited for, or asked again. */
export function decide(situation: Situation): NextStep {
  const { candidate, failure, rest, underWay = 0 } = situation;
  if (situation.callerGone) return { do: "stop" };
  if (underWay > 0) return whileUnderWay(situation, underWay);
  if (candidate === undefined || failure === undefined) return nextOf(rest);
  if (failure.class === "switched_off") return nextOf(rest.filter(({ model }) => model.provider.local));
  if (failure.class === "auth" && situation.keyMayChange) return { do: "renew key" };
  return afterFailed(situation, candidate, failure);
}

/** Hedging: a second model is started where the first one is slow. */
function whileUnderWay({ rest, hedgeMs }: Situation, underWay: number): NextStep {
  if (underWay > 1 || hedgeMs === undefined || rest.length === 0) return { do: "wait" };
  return hedgeMs > 0 ? { do: "wait", ms: hedgeMs } : { do: "next", rest };
}

function afterFailed(situation: Situation, candidate: Candidate, failure: Failure): NextStep {
  const { chain, tries, remainingMs, dice } = situation;
  if (failure.class === "switched_off" || remainingMs <= 0) return { do: "stop" };
  const rule = failure.class === "bad_request" ? "stop" : (chain.on[failure.class] ?? DEFAULT_RULES[failure.class]);
  if (rule === "stop") return { do: "stop" };
  const rest =
    failure.class === "context_window"
      ? situation.rest.filter(({ model }) => model.window > candidate.model.window)
      : situation.rest;
  const next = nextOf(rest);
  if (failure.lasting || !mayRepeat(failure.class)) return next;
  const limit = rest.length > 0 ? (rule === "retry" && !candidate.probe ? 2 : 1) : 3;
  if (tries >= limit) return next;
  const waitMs = Math.round(failure.retryAfterMs ?? backoff(tries - 1, GROWTH, JITTER, dice));
  // With somebody else to ask, a wait may take half of what is left at most; the last one may have nearly all.
  const longest = rest.length > 0 ? Math.min(chain.rate_limit_wait_ms, remainingMs / 2) : remainingMs - 1_000;
  return waitMs <= longest ? { do: "retry", waitMs } : next;
}

function nextOf(rest: readonly Candidate[]): NextStep {
  return rest.length > 0 ? { do: "next", rest } : { do: "stop" };
}

/** A silent vendor stays silent, a refused key stays refused: those are never asked the same thing twice. */
function mayRepeat(errorClass: ErrorClass): boolean {
  return ["rate_limit", "server_error", "network", "cut_stream", "bad_answer"].includes(errorClass);
}

/** In milliseconds, 100 to 300 before the second try: callers that failed together do not come back together. */
const GROWTH = { first: 300, most: 1_200 };
const JITTER = 2 / 3;
