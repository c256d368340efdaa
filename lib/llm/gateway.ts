import { type Asked, readAsk } from "./ask.ts";
import type { Result, RouteDeps } from "./call.ts";
import type { Config, Model } from "./config-schema.ts";
import type { Dialect } from "./dialect.ts";
import type { Json } from "./json.ts";
import type { Kept, Ledger, Rules } from "./ledger.ts";
import { inputChars, needsOf, outputLimit } from "./needs.ts";
import { costOf } from "./prices.ts";
import { type Refused, refusalBody, refusalHeaders, refusalOf } from "./refusals.ts";
import { route } from "./route.ts";
import { type Plan, plan } from "./routing.ts";
import { sseComment, sseText } from "./sse.ts";

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
const BEAT_MS = 10_000;

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
  const noRoom = await ledger.reserve(asked.facts, most, Math.ceil(request.remainingMs / 1000) + 60);
  if (noRoom !== undefined) {
    const { budget, limitUsd, usedUsd } = noRoom;
    const message = `The budget of ${budget} has no room: ${usedUsd.toFixed(6)} of ${limitUsd} USD are spent or reserved, and this call may cost ${most.toFixed(6)}.`;
    return refuse({ status: 402, type: "budget_exceeded", code: "budget_exceeded", message });
  }

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
      onSent: (model) => ledger.sent(asked.facts, model),
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
  reply.stream = (async function* () {
    let pending = first;
    try {
      for (;;) {
        const step = await within(pending, BEAT_MS);
        if (step === undefined) {
          yield sseComment("still at it");
          continue;
        }
        if (step.done) {
          const result = step.value;
          Object.assign(reply.told, told(result));
          if (!result.ok) yield errorEvent(dialect, result, callId);
          yield sseComment(`waybill ${JSON.stringify({ call_id: callId, ...facts(result) })}`);
          if (result.ok && dialect === "chat") yield sseText(undefined, "[DONE]");
          return;
        }
        if (keepText) pieces.push(step.value);
        yield step.value;
        pending = run.next();
      }
    } finally {
      // Closes the loop at its yield: the vendor is hung up on, and what came is accounted.
      await run.return(undefined as never);
    }
  })();
  return reply;
}

/** The chain as it would be tried now for a body. */
export function planFor(
  deps: Pick<GatewayDeps, "config" | "health" | "now">,
  asked: Pick<Asked, "body" | "chain" | "facts" | "localOnly">,
  rules: Rules,
): Plan {
  // A task whose marks cannot be read may be local-only: then nothing of it leaves.
  const localOnly = asked.localOnly || rules.localOnly || !rules.known;
  return plan(asked.chain.models, needsOf(asked.facts.dialect, asked.body, localOnly), {
    health: deps.health.of,
    external: deps.config.external && rules.external,
    usd: (model) => estimate(model, asked.body),
    now: deps.now(),
  });
}

/** The most that a call may cost on a model: three characters a token in, and all the output it may ask for. */
export function estimate(model: Model, body: Json): number {
  const input = Math.ceil(inputChars(body) / 3) + 50;
  const tokens = { input, output: outputLimit(body), cacheRead: 0, cacheWrite: 0, reasoning: 0 };
  return Number(costOf(model, tokens).usd ?? 0);
}

function nobody(asked: Asked, { skipped }: Plan, rules: Rules): Refused {
  const reasons = skipped.map(({ model, reason }) => `${model.name}: ${reason}`).join("; ");
  const tooLong = skipped.length > 0 && skipped.every(({ reason }) => reason.startsWith("the window of"));
  const unknown = !rules.known
    ? " What the task says about privacy cannot be read now, so nothing leaves the house."
    : "";
  return {
    status: rules.known && rules.external ? 400 : 503,
    type: rules.known && rules.external ? "invalid_request_error" : "server_error",
    code: tooLong ? "context_length_exceeded" : "no_model_fits",
    message: `No model of ${asked.chain.name} can take this call. ${reasons}.${unknown}`,
  };
}

function errorEvent(dialect: Dialect, result: Result, callId: string): string {
  const refused = refusalOf(result.failure ?? { class: "timeout", message: "no time was left" }, result.tried);
  const body = refusalBody(dialect, refused, callId);
  return dialect === "messages" ? sseText("error", body) : sseText(undefined, body);
}

function brief({ model, class: errorClass }: { model: string; class: string }): string {
  return `${model}: ${errorClass}`;
}

/** What comes within so many milliseconds; undefined where nothing does. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
