import * as z from "zod";
import { type Actor, agentOf, teamOf } from "../access/actor.ts";
import { maySpeakFor } from "../access/may.ts";
import { jsonDepth, numberChanged, printable, tooDeep } from "../input/json.ts";
import { nameGivenTwice } from "../input/json-names.ts";
import type { LlmCall } from "./attempt/call.ts";
import type { Chain, Config } from "./config/schema.ts";
import type { Dialect } from "./dialects/dialect.ts";
import { at, type Json, parseObject } from "./dialects/json.ts";
import type { Refused } from "./refusals.ts";

const Uuid = z.guid();

/** What came over HTTP. Names of headers are in lower case. */
export type GatewayRequest = {
  dialect: Dialect;
  body: string;
  headers: Record<string, string | undefined>;
  traceId: string;
  /** Milliseconds until whoever runs the gateway ends it. */
  remainingMs: number;
  callerGone: AbortSignal;
};

type ReadCall = { ok: true; call: LlmCall } | { ok: false; refused: Refused };

/** No tool's schema is nested deeper; what walks a body of a hundred thousand levels has no stack left. */
const MAX_BODY_DEPTH = 128;

/** Kept of the function's time, to answer and to keep the accounts. */
const RESERVE_MS = 1_500;

/** Vendors' own switches, sent on to a vendor of the caller's dialect. */
const PASSED_ON = ["anthropic-beta", "openai-organization", "openai-project"];

/** The id of a call, and who makes it: an agent's is the agent's by its key, whatever else it leaves out. */
export type Whose = { callId: string; actor: Actor };

/**
 * Makes the call of a request: the body, `model` as a model's or a chain's name, and the ties to work from headers or the field
 * `waybill`. Refused where the caller has to mend something.
 */
export function readCall(config: Config, request: GatewayRequest, { callId, actor }: Whose): ReadCall {
  const { dialect, headers, callerGone } = request;
  const depth = jsonDepth(request.body);
  if (depth > MAX_BODY_DEPTH) return no(400, "invalid_json", `The body ${tooDeep(depth, MAX_BODY_DEPTH)}.`);
  const parsed = parseObject(request.body);
  if (parsed === undefined) return no(400, "invalid_json", "The body is not a JSON object.");
  const twice = nameGivenTwice(request.body, parsed);
  if (twice !== undefined) return no(400, "invalid_json", `The body's ${twice.join(".")} is there twice; keep one.`);
  const number = numberChanged(request.body);
  if (number !== undefined)
    return no(400, "invalid_json", `The body's number ${printable(number, 40)} is more than a 64-bit float holds.`);
  const { waybill, ...body } = parsed;
  const chain = chainAsked(config, dialect, body);
  if (!("models" in chain)) return { ok: false, refused: chain };
  const ties = readTies(headers, waybill, request.traceId);
  if (!("traceId" in ties)) return { ok: false, refused: ties };
  const { taskId, traceId, stream, privacy } = ties;
  const denied = ties.agent === null ? undefined : maySpeakFor(actor, ties.agent);
  if (denied !== undefined) return no(403, denied.code, denied.message);
  const streamed = body["stream"] === true && dialect !== "embeddings";
  const total = chain.timeouts.total_ms ?? config.timeouts.total_ms;
  return {
    ok: true,
    call: {
      body,
      chain,
      facts: {
        callId,
        teamId: teamOf(actor),
        taskId,
        traceId,
        agent: agentOf(actor) ?? ties.agent,
        chain: chain.name,
        dialect,
        streamed,
      },
      localOnly: privacy === "local-only",
      mode: streamed ? (stream ?? chain.stream) : "plain",
      headers: passedOn(headers),
      callerGone,
      timeMs: Math.min(request.remainingMs - RESERVE_MS, total),
    },
  };
}

function chainAsked(config: Config, dialect: Dialect, body: Json): Chain | Refused {
  const { model, messages, input } = body;
  if (typeof model !== "string")
    return refused(400, "missing_model", "model must name a model or a chain. GET /llm/v1/models lists them.");
  if (dialect === "embeddings" && input === undefined) return refused(400, "invalid_request", "input is missing.");
  if (dialect !== "embeddings" && !Array.isArray(messages))
    return refused(400, "invalid_request", "messages must be a list.");
  const chain = chainNamed(config, model);
  if (chain !== undefined) return chain;
  const known = [...config.chains.keys(), ...config.models.keys()].join(", ");
  return refused(404, "model_not_found", `No model or chain is named ${model}. There are: ${known}.`);
}

/** What a call says of the work that it belongs to, and how it wants to be treated. */
type Ties = {
  taskId: string | null;
  traceId: string;
  agent: string | null;
  stream: "live" | "whole" | undefined;
  privacy: "local-only" | undefined;
};

function readTies(headers: GatewayRequest["headers"], waybill: unknown, traceId: string): Ties | Refused {
  const tie = (name: string) => {
    const value = headers[headerOf(name)] ?? at(waybill, name);
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const ids = { task_id: tie("task_id")?.toLowerCase(), trace_id: (tie("trace_id") ?? traceId).toLowerCase() };
  for (const [name, id] of Object.entries(ids)) {
    if (id !== undefined && !Uuid.safeParse(id).success)
      return refused(400, "invalid_request", `${headerOf(name)} must be a UUID.`);
  }
  const stream = tie("stream");
  const privacy = tie("privacy");
  if (stream !== undefined && stream !== "live" && stream !== "whole")
    return refused(400, "invalid_request", "x-waybill-stream must be live or whole.");
  if (privacy !== undefined && privacy !== "local-only")
    return refused(400, "invalid_request", "x-waybill-privacy must be local-only.");
  const agent = tie("agent")?.slice(0, 100) ?? null;
  return { taskId: ids.task_id ?? null, traceId: ids.trace_id, agent, stream, privacy };
}

function headerOf(name: string): string {
  return `x-waybill-${name.replace("_", "-")}`;
}

function passedOn(headers: GatewayRequest["headers"]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of PASSED_ON) if (headers[name] !== undefined) found[name] = headers[name];
  return found;
}

/** The chain of this name, or the model of this name as a chain of one; undefined where there is neither. */
export function chainNamed(config: Config, name: string): Chain | undefined {
  const chain = config.chains.get(name);
  if (chain !== undefined) return chain;
  const model = config.models.get(name);
  return model === undefined ? undefined : chainOf(name, [model]);
}

/** Models that nobody has made a chain of, as a chain with the rules that a chain has where it says nothing. */
export function chainOf(name: string, models: Chain["models"]): Chain {
  return { name, models, on: {}, stream: "live", rate_limit_wait_ms: 5_000, timeouts: {} };
}

function refused(status: number, code: string, message: string): Refused {
  return { status, type: "invalid_request_error", code, message };
}

function no(status: number, code: string, message: string): ReadCall {
  return { ok: false, refused: refused(status, code, message) };
}
