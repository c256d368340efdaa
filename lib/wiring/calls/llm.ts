import { type Caller, tellActor } from "../../access/actor.ts";
import { isDenial, type Need } from "../../access/may.ts";
import { Misconfigured } from "../../errors.ts";
import type { Dialect } from "../../llm/dialects/dialect.ts";
import { explain, listed } from "../../llm/explain.ts";
import { answer, type GatewayReply } from "../../llm/gateway.ts";
import {
  MISCONFIGURED,
  type Refused,
  refusal,
  refusalBody,
  refusedBy,
  TOO_LARGE,
  unknownCall,
} from "../../llm/refusals.ts";
import { chatCompletions, embeddings, explainRoute, listModels, messages } from "../../llm/routes.ts";
import { fitsLambda } from "../../runtime/http/answer.ts";
import { withCors } from "../../runtime/http/cors.ts";
import { problemOf } from "../../runtime/http/problem.ts";
import type { Route } from "../../runtime/http/route.ts";
import { type Around, direct, type Fetch, type Served, serve } from "../../runtime/http/serve.ts";
import { traceOf } from "../../runtime/http/trace.ts";
import { partsOfRequest, requestOf, responseOf } from "../../runtime/http/web.ts";
import { acting, admitted, type Gate } from "../acting.ts";
import { callersByKey } from "../callers.ts";
import { type LlmGateway, type LlmParts, llmGateway, openAtStart, opened, processLlmParts } from "../llm.ts";
import { gateOf } from "../refused-calls.ts";

/** How an answer leaves. `whole`: in one piece, a stream as one SSE body; `live`: as it comes. */
type Carry = "whole" | "live";

/** What a function of the LLM gateway answers its calls with, by the environment of its process; it is opened at once. */
export function llmFunction(carry: Carry): Fetch {
  const parts = processLlmParts();
  const gateway = llmGateway(parts);
  openAtStart(gateway, parts.edges);
  return withCors(parts.settings.cors.origins, llmCalls(gateway, parts, carry));
}

/** Answers every call of the LLM gateway. */
function llmCalls(gateway: LlmGateway, { edges, settings }: LlmParts, carry: Carry): Fetch {
  const gate = gateOf(edges, callersByKey({ edges, settings }));
  const talk = (route: Route & { access: Need }, dialect: Dialect): Served =>
    direct(
      route,
      async (request, around) => await converse(gateway, edges, { gate, route, dialect, carry, request, around }),
    );
  const calls = serve(
    [
      talk(chatCompletions, "chat"),
      talk(messages, "messages"),
      talk(embeddings, "embeddings"),
      acting(gate, listModels, async (actor, { traceId }) => {
        const { config } = await opened(gateway, edges, { actor, traceId });
        return { status: 200, body: listed(config, actor) };
      }),
      acting(gate, explainRoute, async (actor, { body, traceId }) => {
        const deps = await opened(gateway, edges, { actor, traceId });
        const { external } = await deps.ledger.rules({ teamId: actor.team, taskId: null });
        return { status: 200, body: explain(deps, actor, body, external) };
      }),
    ],
    unknown,
  );
  return async (request, around) => {
    const parts = await partsOfRequest(request);
    const path = parts.path.replace(/\/+$/, "");
    return await calls(path === parts.path ? request : requestOf({ ...parts, path }), around);
  };
}

type Conversation = {
  gate: Gate;
  route: Pick<Route, "operation"> & { access: Need };
  dialect: Dialect;
  carry: Carry;
  request: Request;
  around: Around;
};

/** Has the gateway answer one call, in the words of its dialect, errors too. */
async function converse(gateway: LlmGateway, edges: LlmParts["edges"], call: Conversation): Promise<Response> {
  const { gate, route, dialect, carry, request, around } = call;
  const { headers: given, body, signal } = await partsOfRequest(request);
  const traceId = traceOf(given["traceparent"], given["x-waybill-trace-id"]);
  const headers = carry === "whole" ? { ...given, "x-waybill-stream": "whole" } : given;
  const refuse = (refused: Refused, own: Record<string, string> = {}) => {
    const reply = refusal(dialect, refused, edges.newId());
    const told = { ...reply.headers, ...own, "x-trace-id": traceId };
    return responseOf({ ...reply, headers: told, body: JSON.stringify(reply.body) });
  };
  const { authorizer, waitUntil, ip = null } = around;
  const origin = { ip, traceId };
  let actor: Caller;
  try {
    actor = await admitted(gate, route.operation, route.access, {
      authorizer,
      headers: given,
      params: {},
      bytes: Buffer.byteLength(body ?? ""),
      origin,
      waitUntil,
      tell: () => {},
    });
  } catch (error) {
    const { problem, headers: own } = problemOf(error, traceId);
    const { status, code } = problem;
    if (status < 500) edges.log.info("llm call refused", { trace_id: traceId, dialect, status, code });
    else edges.log.error("llm call refused", { trace_id: traceId, dialect, status, code, error });
    return refuse(refusedBy(problem), own);
  }
  let reply: GatewayReply;
  try {
    const deps = await opened(gateway, edges, { actor, traceId });
    const { remainingMs } = around;
    const asked = { dialect, body: body?.toString() ?? "", headers, traceId, remainingMs: remainingMs() };
    reply = await answer(deps, actor, { ...asked, callerGone: signal });
  } catch (error) {
    if (!(error instanceof Misconfigured)) throw error;
    return refuse(MISCONFIGURED);
  }
  const { code } = reply.told;
  if (isDenial(code))
    gate.keepRefusal({ actor, operation: route.operation, status: reply.status, code }, { origin, waitUntil });
  // That is bounded, and never fails.
  waitUntil(async () => {
    const about = { trace_id: traceId, actor: tellActor(actor), dialect };
    edges.log.info("llm call answered", { ...about, status: reply.status, ...reply.told });
    await reply.after();
  });
  if (carry === "live") return responseOf({ ...reply, body: reply.stream ?? reply.body });
  const parts = [reply.body];
  if (reply.stream !== undefined) for await (const part of reply.stream) parts.push(part);
  return responseOf(carried({ ...reply, body: parts.join("") }, dialect));
}

/** The same reply to be carried whole: an error in its place where it is more than Lambda carries. */
function carried(reply: GatewayReply, dialect: Dialect): GatewayReply {
  if (fitsLambda(reply.body)) return reply;
  const { status, headers, body } = refusal(dialect, TOO_LARGE, reply.headers["x-waybill-call-id"] ?? "");
  return { ...reply, status, headers: { ...reply.headers, ...headers }, body: JSON.stringify(body) };
}

/** In the words that clients of models read: whoever asks for something of messages, those of messages. */
const unknown: Fetch = async (request) => {
  const { method, path } = await partsOfRequest(request);
  const dialect = `${path}/`.startsWith(`${messages.path}/`) ? "messages" : "chat";
  const refused = unknownCall(method, path === "" ? "/" : path);
  const headers = { "content-type": "application/json" };
  return responseOf({ status: refused.status, headers, body: JSON.stringify(refusalBody(dialect, refused)) });
};
