import * as z from "zod";
import type { Problem } from "../runtime/http/problem.ts";
import type { ErrorWords } from "../runtime/http/route.ts";
import type { Tried } from "./attempt/call.ts";
import type { ErrorClass, Failure } from "./config/failure.ts";
import type { Dialect } from "./dialects/dialect.ts";
import type { Json } from "./dialects/json.ts";

/** What a caller is told where there is no answer, in the words of its dialect. */
export type Refused = {
  status: number;
  type: string;
  code: string;
  message: string;
  retryAfterMs?: number | undefined;
  tried?: Tried[];
};

/**
 * The HTTP status for a caller. A vendor's 401 is not the caller's: its own key was never looked at.
 * @see https://platform.openai.com/docs/guides/error-codes
 * @see https://docs.anthropic.com/en/api/errors
 */
const STATUS: Record<ErrorClass, number> = {
  rate_limit: 429,
  quota: 503,
  auth: 502,
  not_found: 502,
  context_window: 400,
  content_policy: 400,
  bad_request: 400,
  timeout: 504,
  server_error: 503,
  network: 502,
  cut_stream: 502,
  bad_answer: 502,
  switched_off: 503,
};

/** Codes that clients of OpenAI's look for. @see https://platform.openai.com/docs/guides/error-codes */
const OUR_CODES: Partial<Record<ErrorClass, string>> = {
  context_window: "context_length_exceeded",
  content_policy: "content_policy_violation",
  rate_limit: "rate_limit_exceeded",
};

/** What became of a call that nobody could answer; without a failure nobody was asked, as there was no time. */
export function refusalOf(asked: Failure | undefined, tried: Tried[]): Refused {
  const failure = asked ?? NO_TIME;
  const own = failure.class === "bad_request" && failure.status !== undefined && failure.status < 500;
  const status = own ? (failure.status ?? 400) : STATUS[failure.class];
  const told = tried.map(({ model, class: errorClass, message }) => `${model}: ${errorClass}, ${message}`).join("; ");
  return {
    status,
    type:
      status < 500 && status !== 429 ? "invalid_request_error" : status === 429 ? "rate_limit_error" : "server_error",
    // A vendor's own code where it gave one, but no name of a broken socket.
    code: OUR_CODES[failure.class] ?? (failure.status === undefined ? failure.class : (failure.code ?? failure.class)),
    message: tried.length > 1 ? `No model could answer. ${told}` : failure.message,
    retryAfterMs: failure.retryAfterMs,
    tried,
  };
}

const NO_TIME: Failure = { class: "timeout", message: "no time was left to ask anybody" };

/** More than the HTTP API carries. */
export const TOO_LARGE: Refused = {
  status: 413,
  type: "invalid_request_error",
  code: "answer_too_large",
  message:
    "The answer is larger than the 6 MB that this address can carry. " +
    "Ask for less at once, or at the function URL with stream: true.",
};

/** What a caller gets while the configuration is refused: no more of it than that. */
export const MISCONFIGURED: Refused = {
  status: 503,
  type: "server_error",
  code: "misconfigured",
  message: "The gateway's configuration is refused. Its log says why, and so does npm run llm:check.",
};

const tie = z
  .looseObject({ call_id: z.string().optional() })
  .optional()
  .describe("which call it was, and what was tried");

const SCHEMAS = {
  chat: z
    .looseObject({
      error: z.looseObject({
        message: z.string(),
        type: z.string(),
        param: z.null(),
        code: z.string().describe("stable, for programs"),
        waybill: tie,
      }),
    })
    .meta({ id: "OpenAiError" }),
  messages: z
    .looseObject({
      type: z.literal("error"),
      error: z.looseObject({ type: z.string(), message: z.string() }),
      code: z.string().describe("stable, for programs"),
      waybill: tie,
    })
    .meta({ id: "AnthropicError" }),
};

/** The errors of a dialect, as its vendor's clients read them: what is wrong in the edge is told in them too. */
export function errorWords(dialect: keyof typeof SCHEMAS): ErrorWords {
  return { schema: SCHEMAS[dialect], tell: (problem) => refusalBody(dialect, refusedBy(problem)) };
}

/** What a caller is told of what the edge refuses, such as one that nobody knows. */
export function refusedBy({ status, code, detail: message }: Pick<Problem, "status" | "code" | "detail">): Refused {
  return { status, type: status < 500 ? "invalid_request_error" : "server_error", code, message };
}

/** A call that the gateway does not have. */
export function unknownCall(method: string, path: string): Refused {
  const message = `There is no ${method} ${path}.`;
  return { status: 404, type: "invalid_request_error", code: "not_found", message };
}

/** A refusal as it is answered: status, headers and body, in the words of the caller's dialect. */
export function refusal(dialect: Dialect, refused: Refused, callId: string) {
  const headers = { "content-type": "application/json", ...refusalHeaders(refused) };
  return { status: refused.status, headers, body: refusalBody(dialect, refused, callId) };
}

/** The error's body in the words of the caller's dialect, under `waybill` which call it was, if it was one, and what was tried. */
export function refusalBody(dialect: Dialect, refused: Refused, callId?: string): Json {
  const { type, code, message, tried } = refused;
  const attempts = tried?.map(({ model, class: error_class, status }) => ({
    model,
    error_class,
    status: status ?? null,
  }));
  const about = { call_id: callId, ...(attempts === undefined ? {} : { attempts }) };
  const waybill = callId === undefined ? {} : { waybill: about };
  if (dialect === "messages")
    return { type: "error", error: { type: messagesType(refused), message }, code, ...waybill };
  return { error: { message, type, param: null, code, ...waybill } };
}

/** The headers of an error: `retry-after` in whole seconds, where a wait helps. */
function refusalHeaders({ retryAfterMs }: Refused): Record<string, string> {
  // Whoever calls us must not try it all again: trying is what we have done.
  const headers: Record<string, string> = { "x-should-retry": "false" };
  if (retryAfterMs !== undefined) headers["retry-after"] = String(Math.ceil(retryAfterMs / 1000));
  return headers;
}

/** @see https://docs.anthropic.com/en/api/errors */
function messagesType({ status }: Refused): string {
  if (status === 429) return "rate_limit_error";
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 404) return "not_found_error";
  if (status < 500) return "invalid_request_error";
  return status === 503 ? "overloaded_error" : "api_error";
}
