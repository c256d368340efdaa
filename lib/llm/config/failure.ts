import { abortReason } from "../../errors.ts";
/** What can go wrong with one attempt, as classes: what happens next depends on the class, never on a list of statuses. */

/** The classes that a chain may have rules for. */
export const ERROR_CLASSES = [
  "rate_limit",
  "quota",
  "auth",
  "not_found",
  "context_window",
  "content_policy",
  "bad_request",
  "timeout",
  "server_error",
  "network",
  "cut_stream",
  "bad_answer",
] as const;
/** `switched_off` is nobody's failure: the kill switch ended the attempt. */
export type ErrorClass = (typeof ERROR_CLASSES)[number] | "switched_off";

/** Why an attempt failed. `message` is the vendor's own where it gave one, and never holds a key. */
export type Failure = {
  class: ErrorClass;
  message: string;
  /** The vendor's HTTP status, where it answered. */
  status?: number;
  /** The vendor's own code or type. */
  code?: string;
  /** How long the vendor asks us to stay away, in milliseconds. */
  retryAfterMs?: number;
  /** Asked the same again, this vendor would answer the same. */
  lasting?: boolean;
};

/**
 * Whether the vendor itself said no. Not where it, or a proxy before it, says that time ran out: the model may have worked
 * for all of that time.
 */
export function saidNo({ status }: Failure): boolean {
  return status !== undefined && status >= 300 && ![408, 499, 502, 504, 524].includes(status);
}

/** Thrown where a vendor's bytes are no answer: too many of them. */
export class BadAnswer extends Error {
  override name = "BadAnswer";
}

/** What a vendor answered, for `classify`. `body` is the parsed JSON or the text. */
export type VendorError = { status: number; headers: Record<string, string | undefined>; body: unknown };

/**
 * What vendors say of the three faults that have no status of their own.
 * @see https://platform.openai.com/docs/guides/error-codes
 * @see https://docs.anthropic.com/en/api/errors
 * @see https://learn.microsoft.com/en-us/azure/ai-foundry/openai/concepts/content-filter
 */
const CONTEXT =
  /context_length_exceeded|maximum context length|context (window|length|size)|prompt is too long|input is too long|too many (input )?tokens in/i;
const POLICY =
  /content_policy|content_filter|responsibleaipolicy|content management policy|content filtering policy|safety system|usage polic/i;
const QUOTA =
  /insufficient_quota|billing|credit balance|payment required|exceeded your current quota|quota_exceeded|spend limit/i;

/**
 * Puts a vendor's error, as HTTP answer or as an event inside a stream, into its class. `now` is epoch milliseconds.
 * @see https://platform.openai.com/docs/guides/error-codes
 * @see https://docs.anthropic.com/en/api/errors
 */
export function classify(answer: VendorError, now: number): Failure {
  const { type, code, message } = errorOf(answer.body);
  const text = `${code} ${type} ${message}`;
  const retryAfterMs = retryAfter(answer.headers, message, now);
  const failure: Failure = {
    class: classOf(answer.status, text),
    status: answer.status,
    message: message || `HTTP ${answer.status}`,
  };
  const named = code || type;
  if (named !== "") failure.code = named;
  if (retryAfterMs !== undefined) failure.retryAfterMs = retryAfterMs;
  return failure;
}

function classOf(status: number, text: string): ErrorClass {
  if (status === 402) return "quota";
  if (status === 429) return QUOTA.test(text) ? "quota" : "rate_limit";
  if (status >= 500 || status === 408 || status === 409 || status === 425) return "server_error";
  if (POLICY.test(text)) return "content_policy";
  if (QUOTA.test(text)) return "quota";
  if (status === 401 || status === 403) return "auth";
  if (CONTEXT.test(text)) return "context_window";
  if (status === 404) return "not_found";
  if (/overloaded/i.test(text)) return "server_error";
  return status >= 400 ? "bad_request" : "bad_answer";
}

/**
 * The status that an error event inside a stream stands for: vendors send it under HTTP 200.
 * @see https://docs.anthropic.com/en/docs/build-with-claude/streaming#error-events
 */
export function statusOfEvent(body: unknown): number {
  const { type, code } = errorOf(body);
  const text = `${code} ${type}`;
  if (/^\d{3}$/.test(code)) return Number(code);
  if (/overloaded/.test(text)) return 529;
  if (/rate_limit|insufficient_quota/.test(text)) return 429;
  if (/authentication/.test(text)) return 401;
  if (/permission/.test(text)) return 403;
  if (/not_found/.test(text)) return 404;
  if (/billing/.test(text)) return 402;
  if (/invalid_request|context_length|content_policy|content_filter/.test(text)) return 400;
  return 500;
}

function errorOf(body: unknown): { type: string; code: string; message: string } {
  if (typeof body === "string") return { type: "", code: "", message: tidy(body) };
  const outer = (body ?? {}) as Record<string, unknown>;
  const inner = (typeof outer["error"] === "object" && outer["error"] !== null ? outer["error"] : outer) as Record<
    string,
    unknown
  >;
  const said = typeof outer["error"] === "string" ? outer["error"] : (inner["message"] ?? outer["message"]);
  return { type: asText(inner["type"]), code: asText(inner["code"]), message: tidy(asText(said)) };
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}

/** Vendors quote the key they refuse ("Incorrect API key provided: sk-…"); nothing that looks like one is kept. */
export function tidy(text: string): string {
  return text
    .replace(/(?<!\S)[\w-]*\b(sk|pk|rk|key|xai|gsk)-[\w*-]{4,}/gi, "[key]")
    .replace(/(api[ _-]?key[^:]{0,30}:\s*)\S+/gi, "$1[key]")
    .replace(/\b(bearer|x-api-key:?)\s+\S+/gi, "$1 [key]")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, 500)
    .toWellFormed();
}

/** The wait that a vendor asks for: retry-after-ms, Retry-After as seconds or HTTP date, or "try again in 1m2.5s" in its text. */
export function retryAfter(headers: VendorError["headers"], message: string, now: number): number | undefined {
  const milliseconds = Number(headers["retry-after-ms"] || Number.NaN);
  if (milliseconds >= 0) return milliseconds;
  const header = headers["retry-after"]?.trim() ?? "";
  const inMs = /^(\d+(?:\.\d+)?)\s*ms$/i.exec(header)?.[1];
  if (inMs !== undefined) return Number(inMs);
  if (/^\d+(\.\d+)?s?$/.test(header)) return Number.parseFloat(header) * 1000;
  // A date has letters in it; Date.parse takes "-5" for one too.
  const date = /[a-z]/i.test(header) ? Date.parse(header) : Number.NaN;
  if (!Number.isNaN(date)) return Math.max(0, date - now);
  const said = /(?:try again|retry) (?:in|after) (?:(\d+)m(?!s))?\s*(?:(\d+(?:\.\d+)?)\s*(ms|s))?/i.exec(message);
  if (said === null || (said[1] === undefined && said[2] === undefined)) return undefined;
  return Number(said[1] ?? 0) * 60_000 + Number(said[2] ?? 0) * (said[3] === "ms" ? 1 : 1000);
}

/** Why a call was stopped, as the reason of its signal. */
export const SWITCHED_OFF = abortReason("calls to external vendors are switched off");
