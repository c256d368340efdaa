import { Misconfigured } from "../../errors.ts";
import type { Dialect } from "../../llm/dialects/dialect.ts";
import { explain, listed } from "../../llm/explain.ts";
import { answer, type GatewayReply } from "../../llm/gateway.ts";
import { refusalBody, refusalHeaders } from "../../llm/refusals.ts";
import { chatCompletions, embeddings, explainRoute, listModels, messages } from "../../llm/routes.ts";
import { fitsLambda } from "../../runtime/http/answer.ts";
import type { Route } from "../../runtime/http/route.ts";
import { type Around, direct, type Fetch, json, type Served, serve } from "../../runtime/http/serve.ts";
import { traceOf } from "../../runtime/http/trace.ts";
import { partsOfRequest, requestOf, responseOf } from "../../runtime/http/web.ts";
import { type LlmGateway, type LlmParts, opened, REFUSED } from "../llm.ts";

/** How an answer leaves. `whole`: in one piece, a stream as one SSE body; `live`: as it comes. */
type Carry = "whole" | "live";

/** Answers every call of the LLM gateway. */
export function llmCalls(gateway: LlmGateway, { edges }: LlmParts, carry: Carry): Fetch {
  const talk = (route: Route, dialect: Dialect): Served =>
    direct(route, async (request, around) => await converse(gateway, edges, { dialect, carry, request, around }));
  const calls = serve(
    [
      talk(chatCompletions, "chat"),
      talk(messages, "messages"),
      talk(embeddings, "embeddings"),
      json(listModels, async ({ traceId }) => {
        try {
          return { status: 200, body: listed((await opened(gateway, edges, traceId)).config) };
        } catch (error) {
          if (!(error instanceof Misconfigured)) throw error;
          const { status, headers, body } = misconfigured("chat", traceId, edges.newId());
          return { status, headers, body: JSON.parse(body) as unknown };
        }
      }),
      json(explainRoute, async ({ body, traceId }) => {
        const deps = await opened(gateway, edges, traceId);
        const { external } = await deps.ledger.rules(null);
        return { status: 200, body: explain(deps, body, external) };
      }),
    ],
    unknownCall,
  );
  return async (request, around) => {
    const parts = await partsOfRequest(request);
    const path = parts.path.replace(/\/+$/, "");
    return await calls(path === parts.path ? request : requestOf({ ...parts, path }), around);
  };
}

type Conversation = { dialect: Dialect; carry: Carry; request: Request; around: Around };

/** Has the gateway answer one call, in the words of its dialect, errors too. */
async function converse(gateway: LlmGateway, edges: LlmParts["edges"], call: Conversation): Promise<Response> {
  const { dialect, carry, request, around } = call;
  const { headers: given, body, signal } = await partsOfRequest(request);
  const traceId = given["x-waybill-trace-id"] ?? traceOf(given["traceparent"]);
  const headers = carry === "whole" ? { ...given, "x-waybill-stream": "whole" } : given;
  let reply: GatewayReply;
  try {
    const deps = await opened(gateway, edges, traceId);
    const { remainingMs } = around;
    const asked = { dialect, body: body?.toString() ?? "", headers, traceId, remainingMs: remainingMs() };
    reply = await answer(deps, { ...asked, callerGone: signal });
  } catch (error) {
    if (!(error instanceof Misconfigured)) throw error;
    return responseOf(misconfigured(dialect, traceId, edges.newId()));
  }
  // That is bounded, and never fails.
  around.waitUntil(async () => {
    edges.log.info("llm call answered", { trace_id: traceId, dialect, status: reply.status, ...reply.told });
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
  const message =
    "The answer is larger than the 6 MB that this address can carry. Ask for less at once, or at the function URL with stream: true.";
  const refused = { status: 413, type: "invalid_request_error", code: "answer_too_large", message };
  const headers = { ...reply.headers, "content-type": "application/json", ...refusalHeaders(refused) };
  const body = JSON.stringify(refusalBody(dialect, refused, reply.headers["x-waybill-call-id"] ?? ""));
  return { ...reply, status: 413, headers, body };
}

function misconfigured(dialect: Dialect, traceId: string, callId: string): GatewayReply {
  const refused = { status: 503, type: "server_error", code: "misconfigured", message: REFUSED };
  return {
    status: 503,
    headers: { "content-type": "application/json", "x-trace-id": traceId, ...refusalHeaders(refused) },
    body: JSON.stringify(refusalBody(dialect, refused, callId)),
    after: async () => {},
    told: { code: refused.code },
  };
}

/** In the words that clients of models read. */
const unknownCall: Fetch = async (request) => {
  const { method, path } = await partsOfRequest(request);
  const error = {
    message: `There is no ${method} ${path}.`,
    type: "invalid_request_error",
    param: null,
    code: "not_found",
  };
  const headers = { "content-type": "application/json" };
  return responseOf({ status: 404, headers, body: JSON.stringify({ error }) });
};
