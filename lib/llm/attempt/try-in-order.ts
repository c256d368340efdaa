import type { Failure } from "../config/failure.ts";
import { SWITCHED_OFF } from "../config/kill-switch.ts";
import { type Candidate, decide } from "../routing/rules.ts";
import type { Call, Result, RouteDeps } from "./call.ts";
import { addFailed, newTally, resultOf, type Tally } from "./call-total.ts";
import { type Contender, contend } from "./contender.ts";
import { hedgeDelay, race } from "./hedge.ts";

/**
 * Tries the plan until one answers: the one retry loop. Yields the events of a streamed answer as text and returns how it
 * ended. Nothing of a failed attempt is ever given, except what a live stream had given before it broke.
 */
export async function* route(deps: RouteDeps, call: Call): AsyncGenerator<string, Result> {
  // Over the whole call, so that a wait before another try ends too.
  const off = new AbortController();
  const local = call.plan.tries.every(({ model }) => model.provider.local);
  const leave = local ? undefined : deps.killSwitch.enter(() => off.abort(SWITCHED_OFF));
  try {
    return yield* tryInOrder(deps, call, off.signal);
  } finally {
    leave?.();
  }
}

async function* tryInOrder(deps: RouteDeps, call: Call, off: AbortSignal): AsyncGenerator<string, Result> {
  const tally = newTally();
  let rest: readonly Candidate[] = call.plan.tries.slice(1);
  let candidate = call.plan.tries[0];
  let tries = 0;
  let otherKey: string | undefined;
  let failure: Failure | undefined;
  const mayAsk = ({ model }: Candidate) => model.provider.local || !off.aborted;

  while (candidate !== undefined) {
    if (!mayAsk(candidate)) {
      failure = { class: "switched_off", message: SWITCHED_OFF.message };
      [candidate, ...rest] = rest.filter(mayAsk);
      [tries, otherKey] = [0, undefined];
      continue;
    }
    tries++;
    let contender = await start(deps, call, tally, candidate, rest.length > 0, otherKey);
    const open = [contender];
    let committed = false;
    try {
      const delayMs = tally.attempts === 1 ? hedgeDelay(deps, call.chain, candidate) : undefined;
      const following = rest[0];
      if (delayMs !== undefined && following !== undefined && mayAsk(following)) {
        const { winner, loser } = await race(contender, delayMs, async () => {
          const second = await start(deps, call, tally, following, rest.length > 1, undefined);
          open.push(second);
          return second;
        });
        if (loser !== undefined) {
          await closeLoser(deps, tally, loser);
          if (candidate !== winner.candidate || winner.state() === "failed") rest = rest.slice(1);
          contender = winner;
          candidate = winner.candidate;
        }
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
        const answer = text === undefined ? {} : { text };
        return resultOf(tally, { ok: true, model: candidate.model, committed: true, ...answer });
      }
      await contender.close(call.callerGone.aborted ? "aborted" : committed ? "cut" : "failed");
    } finally {
      // Reached with something open when the caller went away and the loop was closed at a yield.
      for (const one of open) await one.close("aborted");
    }
    failure ??= { class: "network", message: "the vendor's connection ended" };
    const { model } = candidate;
    if (call.callerGone.aborted) return resultOf(tally, { failure, committed, model });
    addFailed(tally, model, failure);
    if (committed) {
      deps.health.failed(model, failure, deps.now());
      return resultOf(tally, { failure, committed, model });
    }
    if (failure.class === "auth" && otherKey === undefined) {
      otherKey = await deps.keys.other(model.provider, contender.key);
      if (otherKey !== undefined) {
        deps.onWarning("llm key refused, another version tried", { provider: model.provider.name });
        continue;
      }
    }
    const remainingMs = call.deadline - deps.now();
    const step = decide({ chain: call.chain, candidate, failure, tries, rest, remainingMs, dice: deps.dice() });
    if (!(step.do === "retry" && failure.class === "rate_limit")) deps.health.failed(model, failure, deps.now());
    warnOfRefusal(deps, candidate, failure);
    if (step.do === "stop" || remainingMs <= 0) break;
    if (step.do === "retry") {
      await deps.sleep(step.waitMs, model.provider.local ? call.callerGone : AbortSignal.any([call.callerGone, off]));
      tally.waitedMs += step.waitMs;
      if (call.callerGone.aborted) return resultOf(tally, { failure });
      continue;
    }
    [candidate, ...rest] = step.rest;
    [tries, otherKey] = [0, undefined];
  }
  return resultOf(tally, failure === undefined ? {} : { failure });
}

/** Starts an attempt, and counts its time and cost when it is closed. */
async function start(
  deps: RouteDeps,
  call: Call,
  tally: Tally,
  candidate: Candidate,
  others: boolean,
  otherKey: string | undefined,
): Promise<Contender> {
  const attemptNumber = ++tally.attempts;
  const { model, probe } = candidate;
  if (probe) deps.health.probes(model, deps.now());
  let keyFault: Failure | undefined;
  const key =
    otherKey ??
    (await deps.keys.key(model.provider).catch((error: unknown) => {
      const reason = error instanceof Error ? error.name : "unknown";
      keyFault = { class: "auth", message: `the key of ${model.provider.name} cannot be read (${reason})` };
      return undefined;
    }));
  return contend(deps, call, candidate, { attemptNumber, others, key, keyFault }, (ms, costUsd) => {
    tally.upstreamMs += ms;
    tally.costs.push(costUsd);
  });
}

/** Hangs up on the slower one of two: its cost counts, its time does not, as the call waited for the other alone. */
async function closeLoser(deps: RouteDeps, tally: Tally, loser: Contender): Promise<void> {
  // Asked before it is closed: hanging up on it makes it look failed too.
  const lost = loser.state() === "failed" ? loser.failure() : undefined;
  const { upstreamMs } = tally;
  await loser.close(lost === undefined ? "aborted" : "failed");
  tally.upstreamMs = upstreamMs;
  if (lost === undefined) return;
  deps.health.failed(loser.candidate.model, lost, deps.now());
  addFailed(tally, loser.candidate.model, lost);
}

/** Told to whoever runs the gateway: a key, an account or a name is wrong, and stays so until a person mends it. */
function warnOfRefusal({ onWarning }: RouteDeps, { model }: Candidate, failure: Failure): void {
  const { class: error_class, status } = failure;
  if (error_class !== "auth" && error_class !== "quota" && error_class !== "not_found") return;
  onWarning("llm vendor refused", { model: model.name, provider: model.provider.name, error_class, status });
}
