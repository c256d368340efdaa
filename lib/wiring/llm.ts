import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { APIGatewayProxyEventV2, Context } from "aws-lambda";
import * as z from "zod";
import { Misconfigured } from "../errors.ts";
import { ledger } from "../llm/accounts/ledger.ts";
import { configError } from "../llm/config/config.ts";
import { keyring, type ReadSecret } from "../llm/config/keys.ts";
import { keepPricesOf, priced } from "../llm/config/prices.ts";
import { parseWithSecrets } from "../llm/config/secrets.ts";
import type { Dialect } from "../llm/dialects/dialect.ts";
import { explain, listed } from "../llm/explain.ts";
import { answer, type GatewayDeps, type GatewayReply } from "../llm/gateway.ts";
import { refusalBody, refusalHeaders } from "../llm/refusals.ts";
import { explainRoute, listModels } from "../llm/routes.ts";
import { healthBook } from "../llm/routing/health.ts";
import { onLambda, readEnv } from "../runtime/env.ts";
import { fitsLambda, http } from "../runtime/http/http.ts";
import { traceOf } from "../runtime/http/trace.ts";
import { uuidv7 } from "../runtime/ids.ts";
import { log } from "../runtime/log.ts";
import { connect } from "../runtime/postgres/db.ts";
import { renewAll } from "../runtime/postgres/pool.ts";
import { post } from "../runtime/upstream.ts";

/** What the two entry points of the gateway share: one answers whole (llm-route), the other as it comes (llm-stream). */

const LlmEnv = z.object({ LLM_CONFIG: z.string().default("llm.config.yaml") });
const environment = readEnv(z.record(z.string(), z.string().optional()));

/** Loads the client for Secrets Manager with the first key that comes from there. */
const readSecret: ReadSecret = async (name, want) => {
  const { previousSecret, secret } = await import("../runtime/aws/secrets.ts");
  return want.previous ? await previousSecret(name) : await secret(name, want.fresh);
};

let opening: Promise<GatewayDeps> | undefined;
// Told at the start; the calls are refused with it one by one, and it must not end the process.
gateway().catch((error: unknown) => log.error("llm configuration refused", { error }));

/** The gateway, opened once. Refused, it is tried again with the next call: a secret may be there by then. */
async function gateway(): Promise<GatewayDeps> {
  opening ??= open();
  try {
    return await opening;
  } catch (error) {
    opening = undefined;
    throw error;
  }
}

async function open(): Promise<GatewayDeps> {
  const path = readEnv(LlmEnv).LLM_CONFIG;
  const secrets = onLambda() || Boolean(environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"]);
  const around = { env: environment, secrets, priced };
  const parsed = await parseWithSecrets(await readFile(path, "utf8"), around, readSecret);
  if (!parsed.ok) throw configError(path, parsed.faults);
  for (const { line, message } of parsed.warnings)
    log.warn("llm configuration doubtful", { at: `${path}:${line}`, message });
  const { config } = parsed;
  const book = ledger(connect(), config.budgets, log, Date.now, renewAll);
  // Last: where something before it fails, the configuration is checked again.
  keepPricesOf(config.models.values());
  return {
    config,
    keys: keyring(around, readSecret),
    health: healthBook(),
    ledger: book,
    post,
    now: Date.now,
    dice: Math.random,
    sleep: async (ms, signal) => await sleep(ms, undefined, { signal }).catch(() => {}),
    newId: () => uuidv7(),
    onWarning: (event, fields) => log.warn(event, fields),
  };
}

const DIALECTS: Record<string, Dialect> = {
  "/llm/v1/chat/completions": "chat",
  "/llm/v1/messages": "messages",
  "/llm/v1/embeddings": "embeddings",
};

/** The gateway, or nothing where its configuration is refused: the log says why. */
async function opened(traceId: string): Promise<GatewayDeps | undefined> {
  return await gateway().catch((error: unknown) => {
    log.error("llm configuration refused", { error, trace_id: traceId });
    return undefined;
  });
}

const models = http(listModels, async ({ traceId }) => {
  const deps = await opened(traceId);
  if (deps !== undefined) return { status: 200, body: listed(deps.config) };
  const { status, headers, body } = misconfigured("chat", traceId);
  return { status, headers, body: JSON.parse(body) };
});

const explained = http(explainRoute, async ({ body, traceId }) => {
  const deps = await opened(traceId);
  if (deps === undefined) throw new Misconfigured(REFUSED);
  const { external } = await deps.ledger.rules(null);
  return { status: 200, body: explain(deps, body, external) };
});

export type LlmEvent = Pick<APIGatewayProxyEventV2, "rawPath" | "requestContext"> & Partial<APIGatewayProxyEventV2>;

/** Answers an event of the HTTP API or of the function URL. `callerGone` is aborted when nobody listens any more. */
export async function serveLlm(
  event: LlmEvent,
  context: Context | undefined,
  callerGone: AbortSignal,
): Promise<GatewayReply> {
  const path = event.rawPath.replace(/\/+$/, "");
  const { method } = event.requestContext.http;
  const dialect = method === "POST" ? DIALECTS[path] : undefined;
  if (dialect === undefined) return await serveOther(event, context, path, method);
  const headers = event.headers ?? {};
  const traceId = headers["x-waybill-trace-id"] ?? traceOf(headers["traceparent"]);
  const body = event.isBase64Encoded ? Buffer.from(event.body ?? "", "base64").toString() : (event.body ?? "");
  const remainingMs = context?.getRemainingTimeInMillis() ?? 30_000;
  const deps = await opened(traceId);
  if (deps === undefined) return misconfigured(dialect, traceId);
  const reply = await answer(deps, { dialect, body, headers, traceId, remainingMs, callerGone });
  const { after } = reply;
  reply.after = async () => {
    log.info("llm call answered", { trace_id: traceId, dialect, status: reply.status, ...reply.told });
    await after();
  };
  return reply;
}

/** The same reply to be carried whole: an error in its place where it is more than Lambda carries. */
export function carried(event: LlmEvent, reply: GatewayReply): GatewayReply {
  if (fitsLambda(reply.body)) return reply;
  const message =
    "The answer is larger than the 6 MB that this address can carry. Ask for less at once, or at the function URL with stream: true.";
  const refused = { status: 413, type: "invalid_request_error", code: "answer_too_large", message };
  const headers = { ...reply.headers, "content-type": "application/json", ...refusalHeaders(refused) };
  const dialect = DIALECTS[event.rawPath.replace(/\/+$/, "")] ?? "chat";
  const body = JSON.stringify(refusalBody(dialect, refused, reply.headers["x-waybill-call-id"] ?? ""));
  return { ...reply, status: 413, headers, body };
}

/** What a caller gets while the configuration is refused: no more of it than that. */
const REFUSED = "The gateway's configuration is refused. Its log says why, and so does npm run llm:check.";

function misconfigured(dialect: Dialect, traceId: string): GatewayReply {
  const refused = { status: 503, type: "server_error", code: "misconfigured", message: REFUSED };
  return {
    status: 503,
    headers: { "content-type": "application/json", "x-trace-id": traceId, ...refusalHeaders(refused) },
    body: JSON.stringify(refusalBody(dialect, refused, uuidv7())),
    after: async () => {},
    told: { code: refused.code },
  };
}

async function serveOther(
  event: LlmEvent,
  context: Context | undefined,
  path: string,
  method: string,
): Promise<GatewayReply> {
  const run =
    method === "GET" && path === "/llm/v1/models"
      ? models
      : method === "POST" && path === "/llm/route"
        ? explained
        : undefined;
  const whole = await run?.(event, context);
  const unknown = {
    error: { message: `There is no ${method} ${path}.`, type: "invalid_request_error", param: null, code: "not_found" },
  };
  return {
    status: whole?.statusCode ?? 404,
    headers: (whole?.headers as Record<string, string>) ?? { "content-type": "application/json" },
    body: whole?.body ?? JSON.stringify(unknown),
    after: async () => {},
    told: {},
  };
}
