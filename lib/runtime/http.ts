import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from "aws-lambda";
import * as z from "zod";
import { CallerError, type FieldFault, Unavailable } from "../errors.ts";
import { findUnstorable, type JsonFault, parseJson } from "../protocol/json.ts";
import { isConnectionError } from "./db.ts";
import { type Log, log } from "./log.ts";
import { traceOf } from "./trace.ts";

/** A body may have 1 MiB and be nested 64 levels deep. */
export const MAX_BODY_BYTES = 1_048_576;
const MAX_BODY_DEPTH = 64;

/** One way to answer: what it means and, where the body is JSON, its schema. */
export type AnswerSpec = { description: string; schema?: z.ZodType; contentType?: string; headers?: string[] };

/** One call of the HTTP API: the handler parses by it, the OpenAPI document is generated from it. */
export type Route = {
  method: "GET" | "POST" | "PUT" | "DELETE";
  path: `/${string}`;
  operation: string;
  summary: string;
  params?: z.ZodObject;
  query?: z.ZodObject;
  /** Only the headers named here are looked at; names in lower case. */
  headers?: z.ZodObject;
  body?: z.ZodType;
  answers: Record<number, AnswerSpec>;
};

type Part<S> = S extends z.ZodType ? z.infer<S> : undefined;

/** What a handler gets: the parts of the request that its route names, parsed, and the fields that join its log lines. */
export type Call<R extends Route> = {
  params: Part<R["params"]>;
  query: Part<R["query"]>;
  headers: Part<R["headers"]>;
  body: Part<R["body"]>;
  traceId: string;
  log: Log;
  /** When this call must have been answered, in milliseconds from now. */
  remainingMs: () => number;
};

/** A JSON body, or bytes with a content-type of their own. */
export type Answer = { status: number; body?: unknown; bytes?: Uint8Array; headers?: Record<string, string> };

type HttpEvent = Pick<APIGatewayProxyEventV2, "rawPath" | "requestContext"> & Partial<APIGatewayProxyEventV2>;
type HttpHandler = (event: HttpEvent, context?: Context) => Promise<APIGatewayProxyStructuredResultV2>;

/**
 * Makes a Lambda handler of one route: parses the request by it, calls `run`, and turns every outcome into an answer.
 * Errors become application/problem+json (RFC 9457): a CallerError its own status, a database or queue that does not answer 503,
 * anything else 500 without its text.
 */
export function http<const R extends Route>(route: R, run: (call: Call<R>) => Promise<Answer>): HttpHandler {
  return async (event, context) => {
    const headers = event.headers ?? {};
    const traceId = traceOf(headers["traceparent"]);
    const started = performance.now();
    const bound = log.with({ trace_id: traceId, operation: route.operation });
    const remainingMs = () => context?.getRemainingTimeInMillis() ?? 30_000;
    let answer: Answer;
    try {
      const call = { ...parseCall(route, event), traceId, log: bound, remainingMs } as Call<R>;
      answer = await run(call);
    } catch (error) {
      answer = problem(error, traceId, bound);
    }
    bound.info("request answered", { status: answer.status, duration_ms: Math.round(performance.now() - started) });
    return render(answer, traceId);
  };
}

function parseCall(route: Route, event: HttpEvent): Record<"params" | "query" | "headers" | "body", unknown> {
  const wanted = Object.keys(route.headers?.shape ?? {});
  const headers = Object.fromEntries(wanted.flatMap((name) => entryOf(name, event.headers?.[name])));
  const parts = [
    ["params", route.params, event.pathParameters ?? {}],
    ["query", route.query ?? z.strictObject({}), event.queryStringParameters ?? {}],
    ["headers", route.headers, headers],
    ["body", route.body, route.body === undefined ? undefined : parseBody(event)],
  ] as const;
  const faults: FieldFault[] = [];
  const values: Record<string, unknown> = {};
  for (const [part, schema, given] of parts) {
    if (schema === undefined) continue;
    const unstorable = part === "body" ? undefined : findUnstorable(given);
    if (unstorable !== undefined) faults.push({ field: unstorable.field, message: unstorable.message });
    const result = schema.safeParse(given);
    if (result.success) values[part] = result.data;
    else faults.push(...result.error.issues.flatMap(faultsOf));
  }
  if (faults.length > 0) {
    const fields = faults.map((fault) => fault.field || "body").join(", ");
    throw new CallerError(400, "invalid_input", `The request is not valid: see ${fields}.`, { fields: faults });
  }
  return values;
}

function entryOf(name: string, value: string | undefined): [string, string][] {
  return value === undefined ? [] : [[name, value]];
}

/** One entry per field: an unknown field is named itself, not the object that holds it. */
function faultsOf(issue: z.core.$ZodIssue): FieldFault[] {
  const field = issue.path.join(".");
  if (issue.code !== "unrecognized_keys") return [{ field, message: issue.message }];
  return issue.keys.map((key) => ({ field: field ? `${field}.${key}` : key, message: "is not a known field" }));
}

function parseBody(event: HttpEvent): unknown {
  const raw = event.body ?? "";
  const bytes = event.isBase64Encoded ? Buffer.from(raw, "base64") : undefined;
  const size = bytes?.length ?? Buffer.byteLength(raw);
  if (size > MAX_BODY_BYTES) {
    throw new CallerError(413, "body_too_large", `The body has ${size} bytes; at most ${MAX_BODY_BYTES} are taken.`);
  }
  const text = bytes === undefined ? raw : decode(bytes);
  if (text.trim() === "") {
    throw new CallerError(
      400,
      "invalid_json",
      "The body is empty. Send a JSON object with content-type: application/json.",
    );
  }
  const json = parseJson(text, MAX_BODY_DEPTH);
  if (!json.ok) throw jsonError(json.fault);
  return json.value;
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CallerError(400, "invalid_json", "The body is not UTF-8 text. Send JSON in UTF-8.", { cause });
  }
}

function jsonError(fault: JsonFault): CallerError {
  const fields = [{ field: fault.field, message: fault.message }];
  const code = fault.code === "unstorable" ? "invalid_input" : fault.code;
  return new CallerError(400, code, `The body${fault.field ? `'s ${fault.field}` : ""} ${fault.message}.`, { fields });
}

const TITLES: Record<number, string> = {
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

/** RFC 9457, with a stable `code`, the trace to ask about, and one entry per field that is wrong. */
export const Problem = z.strictObject({
  type: z.string().describe("urn:waybill:problem: and the code"),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.string(),
  trace_id: z.string(),
  errors: z.array(z.strictObject({ field: z.string(), message: z.string() })).optional(),
});

function problem(error: unknown, traceId: string, bound: Log): Answer {
  if (error instanceof CallerError) {
    bound.info("request refused", { code: error.code, detail: error.message });
    return problemAnswer(error.status, error.code, error.message, traceId, error.fields, error.headers);
  }
  if (error instanceof Unavailable || isConnectionError(error)) {
    bound.error("request failed", { error });
    const detail = "A part that this call needs does not answer at the moment. Send the same call again.";
    return problemAnswer(503, "unavailable", detail, traceId, [], { "retry-after": "1" });
  }
  bound.error("request failed", { error });
  const detail = `The call failed for a reason of ours. The log has it under trace_id ${traceId}.`;
  return problemAnswer(500, "internal_error", detail, traceId);
}

function problemAnswer(
  status: number,
  code: string,
  detail: string,
  traceId: string,
  fields: FieldFault[] = [],
  headers: Record<string, string> = {},
): Answer {
  const body: z.infer<typeof Problem> = {
    type: `urn:waybill:problem:${code}`,
    title: TITLES[status] ?? "Error",
    status,
    code,
    detail,
    trace_id: traceId,
    ...(fields.length === 0 ? {} : { errors: fields }),
  };
  return { status, body, headers: { ...headers, "content-type": "application/problem+json" } };
}

function render(answer: Answer, traceId: string): APIGatewayProxyStructuredResultV2 {
  const headers = { "content-type": "application/json", "x-trace-id": traceId, ...answer.headers };
  const statusCode = answer.status;
  if (answer.bytes === undefined) return { statusCode, headers, body: JSON.stringify(answer.body) };
  return { statusCode, headers, body: Buffer.from(answer.bytes).toString("base64"), isBase64Encoded: true };
}
