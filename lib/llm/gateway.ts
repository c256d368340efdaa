import type { Actor } from "../access/actor.ts";
import { within } from "../time.ts";
import type { AttemptRecord } from "./accounts/account.ts";
import { type GatewayRequest, readCall } from "./ask.ts";
import type { AdmittedCall, CallEnd, GatewayDeps } from "./attempt/call.ts";
import { newTotal } from "./attempt/call-total.ts";
import { tryInOrder } from "./attempt/try-in-order.ts";
import { admit } from "./before-call.ts";
import { type Refused, refusal, refusalOf } from "./refusals.ts";
import type { Plan } from "./routing/rules.ts";
import { streamReply } from "./stream-reply.ts";

// The folders import one way: config ← dialects ← routing ← accounts ← attempt ← the files beside this one.

export type { GatewayDeps } from "./attempt/call.ts";

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

/** A stream's status is sent when it is known, or after so long without it. */
const HOLD_MS = 8_000;
/** A reservation outlives the function by so long, in seconds: it is settled after the answer. */
const SETTLING_SECONDS = 60;

/** Answers one call of a caller: checks, reserves, routes, and tells what it took. Never throws for a vendor's fault. */
export async function answer(deps: GatewayDeps, actor: Actor, request: GatewayRequest): Promise<GatewayReply> {
  const began = performance.now();
  const callId = deps.newId();
  const read = readCall(deps.config, request, { callId, actor });
  if (!read.ok) return refuse(request, callId, read.refused);
  const seconds = Math.ceil(request.remainingMs / 1000) + SETTLING_SECONDS;
  const admitted = await admit(deps, read.call, seconds);
  if (!admitted.ok) return refuse(request, callId, admitted.refused);
  const call = { ...read.call, deadline: deps.now() + read.call.timeMs };
  const answering = new Answering(deps, request, call, admitted, began);
  return read.call.mode === "plain" ? await answering.whole() : await answering.streamed();
}

/** A call that was let in, on its way to its reply. */
class Answering {
  readonly #deps: GatewayDeps;
  readonly #request: GatewayRequest;
  readonly #call: AdmittedCall;
  /** On the clock of `performance`. */
  readonly #began: number;
  readonly #keepText: boolean;
  readonly #run: AsyncGenerator<string, CallEnd>;
  readonly #total = newTotal();
  /** What was given, where text is kept. */
  readonly #pieces: string[] = [];

  constructor(
    deps: GatewayDeps,
    request: GatewayRequest,
    call: AdmittedCall,
    { plan, keepText }: { plan: Plan; keepText: boolean },
    began: number,
  ) {
    this.#deps = deps;
    this.#request = request;
    this.#call = call;
    this.#keepText = keepText;
    this.#began = began;
    this.#run = tryInOrder(deps, call, plan, this.#total);
  }

  async whole(): Promise<GatewayReply> {
    const { value } = (await this.#run.next()) as { value: CallEnd };
    if (!value.ok) return this.#failed(value);
    const { text = "" } = value;
    this.#keep(text);
    const headers = { ...baseHeaders(this.#request, this.#call.facts.callId), ...this.#headers(value) };
    return { status: 200, headers, body: text, after: this.#after, told: this.#told(value) };
  }

  async streamed(): Promise<GatewayReply> {
    const { callId, dialect } = this.#call.facts;
    const first = this.#run.next();
    const early = await within(Math.min(HOLD_MS, this.#request.remainingMs / 2), first, () => undefined);
    if (early?.done && !early.value.ok) return this.#failed(early.value);
    const reply: GatewayReply = {
      status: 200,
      headers: {
        ...baseHeaders(this.#request, callId),
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
      },
      body: "",
      after: this.#after,
      told: { call_id: callId, chain: this.#call.chain.name },
    };
    reply.stream = streamReply(this.#run, first, {
      dialect,
      callId,
      facts: (end) => this.#facts(end),
      onPiece: (piece) => this.#keep(piece),
      onEnd: (end) => Object.assign(reply.told, this.#told(end)),
    });
    return reply;
  }

  #keep(piece: string): void {
    if (this.#keepText) this.#pieces.push(piece);
  }

  readonly #after = async (): Promise<void> => {
    const kept = this.#total.records.map((record) =>
      this.#keepText ? { record, text: this.#textOf(record) } : { record },
    );
    await this.#deps.ledger.write(this.#call.facts, kept);
  };

  /** What was held until it was whole is given after its attempt has ended: this is asked when all is over. */
  #textOf({ outcome }: AttemptRecord): { prompt: string; answer: string | null } {
    const prompt = JSON.stringify(this.#call.body);
    return { prompt, answer: outcome === "answered" ? this.#pieces.join("") : null };
  }

  #facts({ model, attempts, costUsd, upstreamMs }: CallEnd) {
    const overhead = performance.now() - this.#began - upstreamMs;
    return {
      model: model?.name ?? null,
      attempts,
      cost_usd: costUsd,
      overhead_ms: Math.max(0, Math.round(overhead * 100) / 100),
    };
  }

  #headers(end: CallEnd): Record<string, string> {
    const { model, attempts, cost_usd, overhead_ms } = this.#facts(end);
    return {
      ...(model === null ? {} : { "x-waybill-model": model }),
      "x-waybill-attempts": String(attempts),
      "x-waybill-cost-usd": cost_usd ?? "unknown",
      "x-waybill-overhead-ms": String(overhead_ms),
    };
  }

  #told(end: CallEnd): Record<string, unknown> {
    const { facts, chain } = this.#call;
    return { call_id: facts.callId, chain: chain.name, ...this.#facts(end), tried: end.tried.map(brief) };
  }

  #failed(end: CallEnd): GatewayReply {
    const more = { headers: this.#headers(end), after: this.#after, told: this.#told(end) };
    return refuse(this.#request, this.#call.facts.callId, refusalOf(end.failure, end.tried), more);
  }
}

function baseHeaders({ traceId }: GatewayRequest, callId: string): Record<string, string> {
  return { "content-type": "application/json", "x-waybill-call-id": callId, "x-trace-id": traceId };
}

function refuse(
  request: GatewayRequest,
  callId: string,
  refused: Refused,
  more: Partial<GatewayReply> = {},
): GatewayReply {
  const { code, tried } = refused;
  const { status, headers, body } = refusal(request.dialect, refused, callId);
  return {
    status,
    headers: { ...baseHeaders(request, callId), ...headers, ...more.headers },
    body: JSON.stringify(body),
    after: more.after ?? (async () => {}),
    told: { call_id: callId, status, code, tried: tried?.map(brief), ...more.told },
  };
}

function brief({ model, class: errorClass }: { model: string; class: string }): string {
  return `${model}: ${errorClass}`;
}
