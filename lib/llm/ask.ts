import * as z from "zod";
import type { CallFacts } from "./accounts/account.ts";
import type { Chain, Config } from "./config/schema.ts";
import type { Dialect } from "./dialects/dialect.ts";
import { type Json, parseObject } from "./dialects/json.ts";
import type { Refused } from "./refusals.ts";

const Uuid = z.guid();

/** A request read: what is asked of whom, and the work it belongs to. `body` is without the fields that are ours. */
export type Asked = {
  body: Json;
  chain: Chain;
  facts: CallFacts;
  localOnly: boolean;
  mode: "plain" | "live" | "whole";
  headers: Record<string, string>;
};

type Read = { ok: true; asked: Asked } | { ok: false; refused: Refused };

/** Vendors' own switches, sent on to a vendor of the caller's dialect. */
const PASSED_ON = ["anthropic-beta", "openai-organization", "openai-project"];

/** Reads a call: the body, `model` as a model's or a chain's name, and the ties to work from headers or the field `waybill`. */
export function readAsk(
  config: Config,
  dialect: Dialect,
  text: string,
  headers: Record<string, string | undefined>,
  ids: { callId: string; traceId: string },
): Read {
  const parsed = parseObject(text);
  if (parsed === undefined) return no(400, "invalid_json", "The body is not a JSON object.");
  const { waybill = {}, ...body } = parsed;
  const { model } = body;
  if (typeof model !== "string")
    return no(400, "missing_model", "model must name a model or a chain. GET /llm/v1/models lists them.");
  const list = dialect === "embeddings" ? body["input"] !== undefined : Array.isArray(body["messages"]);
  if (!list)
    return no(400, "invalid_request", dialect === "embeddings" ? "input is missing." : "messages must be a list.");
  const chain = chainNamed(config, model);
  if (chain === undefined) {
    const known = [...config.chains.keys(), ...config.models.keys()].join(", ");
    return no(404, "model_not_found", `No model or chain is named ${model}. There are: ${known}.`);
  }
  const tie = (name: string) => {
    const value = headers[`x-waybill-${name.replace("_", "-")}`] ?? (waybill as Json)[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const taskId = tie("task_id")?.toLowerCase();
  const traceId = (tie("trace_id") ?? ids.traceId).toLowerCase();
  for (const [name, id] of Object.entries({ task_id: taskId, trace_id: traceId })) {
    if (id !== undefined && !Uuid.safeParse(id).success)
      return no(400, "invalid_request", `x-waybill-${name.replace("_", "-")} must be a UUID.`);
  }
  const wished = tie("stream");
  const privacy = tie("privacy");
  if (wished !== undefined && wished !== "live" && wished !== "whole")
    return no(400, "invalid_request", "x-waybill-stream must be live or whole.");
  if (privacy !== undefined && privacy !== "local-only")
    return no(400, "invalid_request", "x-waybill-privacy must be local-only.");
  const streamed = body["stream"] === true && dialect !== "embeddings";
  const passedOn = Object.fromEntries(
    PASSED_ON.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]])),
  );
  return {
    ok: true,
    asked: {
      body,
      chain,
      facts: {
        callId: ids.callId,
        taskId: taskId ?? null,
        traceId,
        agent: tie("agent")?.slice(0, 100) ?? null,
        chain: chain.name,
        dialect,
        streamed,
      },
      localOnly: privacy === "local-only",
      mode: streamed ? (wished ?? chain.stream) : "plain",
      headers: passedOn,
    },
  };
}

/** The chain of this name, or the model of this name as a chain of one. */
export function chainNamed(config: Config, name: string): Chain | undefined {
  const chain = config.chains.get(name);
  if (chain !== undefined) return chain;
  const model = config.models.get(name);
  if (model === undefined) return undefined;
  return { name, models: [model], on: {}, stream: "live", rate_limit_wait_ms: 5_000, timeouts: {} };
}

function no(status: number, code: string, message: string): Read {
  return { ok: false, refused: { status, type: "invalid_request_error", code, message } };
}
