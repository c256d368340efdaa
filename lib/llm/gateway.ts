import type { Kept, Ledger } from "./accounts/ledger.ts";
import { readAsk } from "./ask.ts";
import type { Result, RouteDeps } from "./attempt/call.ts";
import { route } from "./attempt/try-in-order.ts";
import { estimate, nobody, noRoom, planFor } from "./before-call.ts";
import type { Config } from "./config/schema.ts";
import type { Dialect } from "./dialects/dialect.ts";
import { type Refused, refusalBody, refusalHeaders, refusalOf } from "./refusals.ts";
import { streamReply, within } from "./stream-reply.ts";

export type GatewayDeps = Omit<RouteDeps, "onAttempt" | "onSent" | "config" | "killSwitch"> & {
  config: Config;
  ledger: Ledger;
};

export type GatewayRequest = {
  dialect: Dialect;
  body: string;
  headers: Record<string, string | undefined>;
  traceId: string;
  remainingMs: number;
  callerGone: AbortSignal;
};

/** An answer; `stream` where it comes in parts. `after` keeps the accounts, and is called when the answer has been given. */
export type GatewayReply = {
  status: number;
  headers: Record<string, string>;
  body: string;
  stream?: AsyncGenerator<string, void>;
  after: () => Promise<void>;
  /** For the log: who answered and how it went. */
  told: Record<string, unknown>;
};

/** Kept of the function's time, to answer and to keep the accounts. */
const RESERVE_MS = 1_500;
/** A stream's status is sent when it is known, or after so long without it. */
const HOLD_MS = 8_000;

/** Answers one call of a caller: checks, reserves, routes, and tells what it took. Never throws for a vendor's fault. */
export async function answer(deps: GatewayDeps, request: GatewayRequest): Promise<GatewayReply> {
  const began = performance.now();
  const { config, ledger } = deps;
  const callId = deps.newId();
  const { dialect, traceId } = request;
  const base = { "content-type": "application/json", "x-waybill-call-id": callId, "x-trace-id": traceId };
  const refuse = (refused: Refused, more: Partial<GatewayReply> = {}): GatewayReply => ({
    status: refused.status,
    headers: { ...base, ...refusalHeaders(refused), ...more.headers },
    body: JSON.stringify(refusalBody(dialect, refused, callId)),
    after: more.after ?? (async () => {}),
    told: {
      call_id: callId,
      status: refused.status,
      code: refused.code,
      tried: refused.tried?.map(brief),
      ...more.told,
    },
  });

  const read = readAsk(config, dialect, request.body, request.headers, { callId, traceId });
  if (!read.ok) return refuse(read.refused);
  const { asked } = read;
  const rules = await ledger.rules(asked.facts.taskId);
  const planned = planFor(deps, asked, rules);
  if (planned.tries.length === 0) return refuse(nobody(asked, planned, rules));
  const deadline =
    deps.now() + Math.min(request.remainingMs - RESERVE_MS, asked.chain.timeouts.total_ms ?? config.timeouts.total_ms);
  const most = Math.max(...planned.tries.map(({ model }) => estimate(model, asked.body)));
  const full = await ledger.reserve(asked.facts, most, Math.ceil(request.remainingMs / 1000) + 60);
  if (full !== undefined) return refuse(noRoom(full, most));

  const kept: Kept[] = [];
  const keepText = rules.projectId !== null && config.keepTextOf.has(rules.projectId);
  const pieces: string[] = [];
  const run = route(
    {
      ...deps,
      killSwitch: ledger.killSwitch,
      onAttempt: (record) => {
        const text = { prompt: JSON.stringify(asked.body), answer: null };
        kept.push(keepText ? { record, text } : { record });
      },
      onSent: (model, attemptNumber) => ledger.sent(asked.facts, model, attemptNumber),
    },
    { ...asked, plan: planned, callerGone: request.callerGone, deadline },
  );
  const after = async () => {
    // What was held until it was whole is given after its attempt has ended.
    for (const { record, text } of kept) if (text && record.outcome === "answered") text.answer = pieces.join("");
    await ledger.write(asked.facts, kept);
  };
  const facts = (result: Result) => ({
    model: result.model?.name ?? null,
    attempts: result.attempts,
    cost_usd: result.costUsd,
    overhead_ms: Math.max(0, Math.round((performance.now() - began - result.upstreamMs) * 100) / 100),
  });
  const asHeaders = (result: Result): Record<string, string> => {
    const { model, attempts, cost_usd, overhead_ms } = facts(result);
    return {
      ...(model === null ? {} : { "x-waybill-model": model }),
      "x-waybill-attempts": String(attempts),
      "x-waybill-cost-usd": cost_usd ?? "unknown",
      "x-waybill-overhead-ms": String(overhead_ms),
    };
  };
  const told = (result: Result) => ({
    call_id: callId,
    chain: asked.chain.name,
    ...facts(result),
    tried: result.tried.map(brief),
  });
  const failed = (result: Result) =>
    refuse(
      refusalOf(result.failure ?? { class: "timeout", message: "no time was left to ask anybody" }, result.tried),
      {
        headers: asHeaders(result),
        after,
        told: told(result),
      },
    );

  const first = run.next();
  if (asked.mode === "plain") {
    const { value } = (await first) as { value: Result };
    if (!value.ok) return failed(value);
    if (keepText) pieces.push(value.text ?? "");
    return { status: 200, headers: { ...base, ...asHeaders(value) }, body: value.text ?? "", after, told: told(value) };
  }
  const early = await within(first, Math.min(HOLD_MS, request.remainingMs / 2));
  if (early !== undefined && early.done && !early.value.ok) return failed(early.value);
  const reply: GatewayReply = {
    status: 200,
    headers: { ...base, "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" },
    body: "",
    after,
    told: { call_id: callId, chain: asked.chain.name },
  };
  reply.stream = streamReply(
    run,
    first,
    { dialect, callId, facts },
    (piece) => {
      if (keepText) pieces.push(piece);
    },
    (result) => Object.assign(reply.told, told(result)),
  );
  return reply;
}

function brief({ model, class: errorClass }: { model: string; class: string }): string {
  return `${model}: ${errorClass}`;
}
