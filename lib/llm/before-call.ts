import type { TaskRules } from "./accounts/rules.ts";
import type { FullBudget } from "./accounts/spend.ts";
import type { GatewayDeps, LlmCall } from "./attempt/call.ts";
import { SWITCHED_OFF } from "./config/failure.ts";
import { costOf } from "./config/prices.ts";
import type { Model } from "./config/schema.ts";
import type { Json } from "./dialects/json.ts";
import type { Refused } from "./refusals.ts";
import { inputChars, needsOf, outputLimit } from "./routing/needs.ts";
import { type Plan, plan } from "./routing/rules.ts";

// What is known before anybody is called: the plan, the most it may cost, and why it is refused where it is.

type Admitted = { ok: true; plan: Plan; keepText: boolean } | { ok: false; refused: Refused };

/**
 * Plans a call and reserves the most that it may cost, for `seconds` seconds. Refused where no model fits or a budget is full.
 * `keepText`: what is said is kept with the accounts, as its project wants.
 */
export async function admit(deps: GatewayDeps, call: LlmCall, seconds: number): Promise<Admitted> {
  const { config, ledger } = deps;
  const rules = await ledger.rules(call.facts);
  const planned = planFor(deps, call, rules);
  if (planned.tries.length === 0) return { ok: false, refused: nobody(call, planned, rules) };
  const most = Math.max(...planned.tries.map(({ model }) => estimate(model, call.body)));
  const full = await ledger.reserve(call.facts, most, seconds);
  if (full !== undefined) return { ok: false, refused: noRoom(full, most) };
  return { ok: true, plan: planned, keepText: rules.projectId !== null && config.keepTextOf.has(rules.projectId) };
}

/** The chain as it would be tried now for a body. */
function planFor(deps: Pick<GatewayDeps, "config" | "health" | "now">, call: LlmCall, rules: TaskRules): Plan {
  // A task whose marks cannot be read may be local-only: then nothing of it leaves.
  const localOnly = call.localOnly || rules.localOnly || !rules.known;
  return plan(call.chain.models, needsOf(call.facts.dialect, call.body, localOnly), {
    health: deps.health.of,
    external: deps.config.external && rules.external,
    usd: (model) => estimate(model, call.body),
    now: deps.now(),
  });
}

/**
 * The most that a call may cost on a model, in USD: three characters a token in, and all the output it may ask for. Infinite
 * where that is unknown, so that no budget has room for it.
 */
export function estimate(model: Model, body: Json): number {
  const input = Math.ceil(inputChars(body) / 3) + 50;
  const tokens = { input, output: outputLimit(body, model), cacheRead: 0, cacheWrite: 0, reasoning: 0 };
  return Number(costOf(model, tokens).usd ?? Number.POSITIVE_INFINITY);
}

/** No model of the chain fits, and why. */
function nobody(call: LlmCall, { skipped }: Plan, rules: TaskRules): Refused {
  const reasons = skipped.map(({ model, reason }) => `${model.name}: ${reason}`).join("; ");
  const switchedOff = skipped.some(({ reason }) => reason === SWITCHED_OFF.message);
  const tooLong = skipped.length > 0 && skipped.every(({ reason }) => reason.startsWith("the window of"));
  const unknown = !rules.known
    ? " What the task says about privacy cannot be read now, so nothing leaves the house."
    : "";
  const ours = switchedOff || !rules.known;
  const why = switchedOff ? "Calls to external vendors are switched off, and no local model" : "No model";
  return {
    status: ours ? 503 : 400,
    type: ours ? "server_error" : "invalid_request_error",
    code: switchedOff ? "switched_off" : tooLong ? "context_length_exceeded" : "no_model_fits",
    message: `${why} of ${call.chain.name} can take this call. ${reasons}.${unknown}`,
  };
}

/** A budget has no room for `mostUsd`. */
function noRoom({ budget, limitUsd, usedUsd }: FullBudget, mostUsd: number): Refused {
  const most = Number.isFinite(mostUsd) ? `may cost ${mostUsd.toFixed(6)}` : "may cost nobody knows what";
  const message = `The budget of ${budget} has no room: ${usedUsd.toFixed(6)} of ${limitUsd} USD are spent or reserved, and this call ${most}.`;
  return { status: 402, type: "budget_exceeded", code: "budget_exceeded", message };
}
