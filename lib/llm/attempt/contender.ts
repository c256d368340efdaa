import { abortReason } from "../../errors.ts";
import { type Outcome, recordOf } from "../accounts/account.ts";
import type { Failure } from "../config/failure.ts";
import { SWITCHED_OFF } from "../config/kill-switch.ts";
import type { Model, Timeouts } from "../config/schema.ts";
import { bridge } from "../dialects/dialect.ts";
import { at } from "../dialects/json.ts";
import { newWatch } from "../dialects/watch.ts";
import type { Candidate } from "../routing/rules.ts";
import { MAX_ANSWER_BYTES } from "./attempt.ts";
import type { Call, RouteDeps } from "./call.ts";
import { plainAttempt } from "./plain-attempt.ts";
import { streamAttempt } from "./stream-attempt.ts";

/** One attempt under way. `ready` settles when it has failed, has the whole answer, or (live) has begun to give it. */
export type Contender = {
  candidate: Candidate;
  key: string | undefined;
  ready: Promise<void>;
  state: () => "running" | "streaming" | "answered" | "failed";
  failure: () => Failure | undefined;
  /** The answer of a plain call. */
  text: () => string | undefined;
  /** The events so far, once; more of them come from `next` while it is streaming. */
  held: () => string;
  next: () => Promise<string | undefined>;
  /** Ends it, whatever it is doing, and keeps what it was; only the first outcome counts. */
  close: (outcome: Outcome) => Promise<void>;
};

/** Starts an attempt at once. `settled` gets its time and cost when it is closed. */
export function contend(
  deps: RouteDeps,
  call: Call,
  candidate: Candidate,
  of: { attemptNumber: number; others: boolean; key: string | undefined; keyFault: Failure | undefined },
  settled: (ms: number, costUsd: string | null) => void,
): Contender {
  const { model } = candidate;
  const run = begin(deps, call, candidate, of.attemptNumber, of.others);
  const { watch } = run.attempt;
  const attempt = { ...run.attempt, key: of.key };
  const events = call.mode === "plain" ? undefined : streamAttempt(attempt);
  const held: string[] = [];
  let state: ReturnType<Contender["state"]> = "running";
  let failure: Failure | undefined;
  let text: string | undefined;
  let closed = false;

  const next = async (): Promise<string | undefined> => {
    const step = await events?.next();
    if (step !== undefined && !step.done) return step.value;
    failure = step?.value ?? undefined;
    state = failure === undefined ? "answered" : "failed";
    return undefined;
  };
  const ready = (async () => {
    if (of.keyFault !== undefined) {
      // Without its key a prompt would leave for a vendor that refuses it.
      failure = of.keyFault;
      state = "failed";
      return;
    }
    if (events === undefined) {
      const answer = await plainAttempt(attempt);
      if (answer.ok) text = answer.text;
      else failure = answer.failure;
      watch.finished = answer.ok;
      state = answer.ok ? "answered" : "failed";
      return;
    }
    for (let chars = 0; ; ) {
      const piece = await next();
      if (piece === undefined) return;
      held.push(piece);
      chars += piece.length;
      if (chars > MAX_ANSWER_BYTES) {
        held.length = 0;
        failure = {
          class: "bad_answer",
          message: `the answer has more than ${MAX_ANSWER_BYTES} characters`,
          lasting: true,
        };
        state = "failed";
        return;
      }
      if (call.mode === "live" && watch.started) {
        state = "streaming";
        return;
      }
    }
  })();
  return {
    candidate,
    key: of.key,
    ready,
    state: () => state,
    failure: () => failure,
    text: () => text,
    held: () => held.splice(0).join(""),
    next,
    close: async (outcome) => {
      if (closed) return;
      closed = true;
      const ms = deps.now() - run.startedAt;
      run.stop();
      // The one that is still reading ends by the signal; a generator that waits at a yield has to be told.
      if (state === "running") await ready;
      await events?.return(undefined);
      const record = run.record(failure?.class === "switched_off" ? "aborted" : outcome, failure);
      if (state === "answered" && outcome === "answered") deps.health.answered(model);
      settled(ms, record.costUsd);
      deps.onAttempt(record, watch);
    },
  };
}

function begin(deps: RouteDeps, call: Call, { model }: Candidate, attemptNumber: number, others: boolean) {
  const startedAt = deps.now();
  const watch = newWatch();
  let sent = false;
  let ttftMs: number | undefined;
  const over = new AbortController();
  const stop = () => over.abort(OVER);
  if (call.callerGone.aborted) stop();
  call.callerGone.addEventListener("abort", stop, { once: true });
  const leave = model.provider.local ? undefined : deps.killSwitch.enter(() => over.abort(SWITCHED_OFF));
  const wantsUsage = at(call.body, "stream_options", "include_usage") === true;
  return {
    startedAt,
    stop: () => {
      leave?.();
      call.callerGone.removeEventListener("abort", stop);
      stop();
    },
    attempt: {
      model,
      bridge: bridge(call.facts.dialect, model, wantsUsage),
      body: call.body,
      headers: call.headers,
      clocks: clocksFor(deps.config.timeouts, call, model, call.deadline - startedAt, others),
      stopped: over.signal,
      watch,
      post: deps.post,
      now: deps.now,
      onSent: () => {
        sent = true;
        deps.onSent(model, attemptNumber);
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
          failure,
        },
        outcome,
      ),
  };
}

/** Made once: an error takes its stack with it, and this ends every attempt. */
const OVER = abortReason("the attempt is over");

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
