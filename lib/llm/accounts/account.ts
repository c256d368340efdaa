import { type Failure, saidNo } from "../config/failure.ts";
import { costOf, type Tokens } from "../config/prices.ts";
import type { Model } from "../config/schema.ts";
import type { Dialect } from "../dialects/dialect.ts";
import type { Json } from "../dialects/json.ts";
import type { Watch } from "../dialects/watch.ts";
import { inputChars } from "../routing/needs.ts";

/** How an attempt ended; `cut` is a stream that broke after the caller had some of it. */
export type AttemptOutcome = "answered" | "failed" | "cut" | "aborted";

/** One attempt as it is kept: everything but what was said. Times in milliseconds, cost in USD as decimal text. */
export type AttemptRecord = {
  attemptId: string;
  callId: string;
  teamId: string;
  attemptNumber: number;
  taskId: string | null;
  traceId: string;
  agent: string | null;
  chain: string;
  dialect: Dialect;
  model: string;
  modelAsked: string;
  modelServed: string | null;
  provider: string;
  external: boolean;
  /** The prompt may have reached the vendor. */
  left: boolean;
  streamed: boolean;
  tokens: Tokens | null;
  usageSource: "provider" | "estimated" | "none";
  costUsd: string | null;
  costUnknown: string | null;
  ttftMs: number | null;
  latencyMs: number;
  outcome: AttemptOutcome;
  errorClass: string | null;
  errorStatus: number | null;
  startedAt: Date;
};

/** What every attempt of a call has in common. */
export type CallFacts = Pick<
  AttemptRecord,
  "callId" | "teamId" | "taskId" | "traceId" | "agent" | "chain" | "dialect" | "streamed"
>;

/** The record of an attempt that has ended. Usage comes from the vendor, or is estimated where an answer was begun without one. */
export function recordOf(
  facts: CallFacts,
  attempt: {
    attemptId: string;
    attemptNumber: number;
    model: Model;
    watch: Watch;
    body: Json;
    sent: boolean;
    ttftMs: number | undefined;
    latencyMs: number;
    startedAt: number;
    failure: Failure | undefined;
  },
  outcome: AttemptOutcome,
): AttemptRecord {
  const { model, watch, body } = attempt;
  // One that was hung up on has not failed: its connection was lost by our own doing.
  const ended = outcome === "answered" || (outcome === "aborted" && attempt.failure?.class !== "switched_off");
  const failure = ended ? undefined : attempt.failure;
  const { tokens, source } = usageOf(watch, body, facts.streamed && attempt.sent, outcome);
  // Surely not billed: what never left, and what the vendor refused before it said anything.
  const unbilled = source === "none" && (!attempt.sent || (attempt.failure !== undefined && saidNo(attempt.failure)));
  const cost = unbilled ? { usd: "0" } : costOf(model, tokens);
  return {
    ...facts,
    attemptId: attempt.attemptId,
    attemptNumber: attempt.attemptNumber,
    model: model.name,
    modelAsked: model.id,
    // The rows of many calls are written together: a name that Postgres cannot keep would cost them all.
    modelServed: watch.model?.replaceAll("\u0000", "").toWellFormed() ?? null,
    provider: model.provider.name,
    external: !model.provider.local,
    left: attempt.sent,
    tokens: tokens ?? null,
    usageSource: source,
    costUsd: cost.usd,
    costUnknown: cost.usd === null ? cost.reason : null,
    ttftMs: attempt.ttftMs ?? null,
    latencyMs: attempt.latencyMs,
    outcome,
    errorClass: failure?.class ?? null,
    errorStatus: failure?.status ?? null,
    startedAt: new Date(attempt.startedAt),
  };
}

type Usage = { tokens: Tokens | undefined; source: AttemptRecord["usageSource"] };

/**
 * A stream that was broken off has cost what was read and said until then. Of a whole answer that never came nobody knows how
 * far the vendor was, nor of a stream that stayed silent until its clock rang: those have no usage.
 */
function usageOf(watch: Watch, body: Json, streamSent: boolean, outcome: AttemptOutcome): Usage {
  const complete = watch.tokens !== undefined && (watch.finished || !watch.started);
  if (complete && (watch.tokens?.input ?? 0) + (watch.tokens?.output ?? 0) > 0)
    return { tokens: watch.tokens, source: "provider" };
  const begun = watch.started || outcome === "answered" || (outcome === "aborted" && streamSent);
  if (!begun) return { tokens: undefined, source: "none" };
  const estimated = {
    input: watch.tokens?.input || Math.ceil(inputChars(body) / 4),
    output: Math.max(watch.tokens?.output ?? 0, Math.ceil(watch.outChars / 4)),
    cacheRead: watch.tokens?.cacheRead ?? 0,
    cacheWrite: watch.tokens?.cacheWrite ?? 0,
    reasoning: watch.tokens?.reasoning ?? 0,
  };
  return { tokens: estimated, source: "estimated" };
}
