import type { APIGatewayProxyStructuredResultV2, Context } from "aws-lambda";
import type * as z from "zod";
import { CallerError, Unavailable } from "../../errors.ts";
import { uuidv7 } from "../ids.ts";
import { type Fields, type Log, log } from "../log.ts";
import { renewAll, withConnections } from "../postgres/pool.ts";
import { problemOf } from "./problem.ts";
import { type HttpEvent, headersOf, parseRequest, type RequestParts } from "./request.ts";
import { traceOf } from "./trace.ts";

/** One way to answer: what it means and, where the body is JSON, its schema. From 400 on the body is a problem. */
export type AnswerSpec = { description: string; schema?: z.ZodType; contentType?: string; headers?: string[] };

/** One call of the HTTP API: the handler parses by it, the OpenAPI document is generated from it. */
export type Route = RequestParts & {
  method: "GET" | "POST" | "PUT" | "DELETE";
  path: `/${string}`;
  operation: string;
  summary: string;
  /** Only the headers named here are looked at; names in lower case. */
  headers?: z.ZodObject;
  /** Whether the whole call may be run again when the database connection is lost in the middle; a GET always may. */
  repeatable?: boolean;
  answers: Record<number, AnswerSpec>;
};

type Part<S> = S extends z.ZodType ? z.infer<S> : undefined;

/** What a handler gets: the parts of the request that its route names, parsed, and the fields that join its log lines. */
export type Call<R extends Route> = {
  params: Part<R["params"]>;
  query: Part<R["query"]>;
  headers: Part<R["headers"]>;
  body: R extends { bodyTypes: readonly string[] } ? string : Part<R["body"]>;
  /** As they came, for a route that stands for many. */
  method: string;
  path: string;
  /** A UUIDv7 of this call: the same when a repeatable call is run again. */
  callId: string;
  traceId: string;
  log: Log;
  /** Adds fields to the line that says how the call ended: what it was about. */
  tell: (fields: Fields) => void;
  /** Until when this call must have been answered, in milliseconds from now. */
  remainingMs: () => number;
};

/** A JSON body, or bytes with a content-type of their own. */
export type Answer = { status: number; body?: unknown; bytes?: Uint8Array; headers?: Record<string, string> };

type HttpHandler = (event: HttpEvent, context?: Context) => Promise<APIGatewayProxyStructuredResultV2>;

/** API Gateway waits 30 s and no longer. */
const GATEWAY_MS = 30_000;
/** What is kept back to answer that a call took too long, which API Gateway would say without a trace_id. */
const ANSWER_MS = 300;
/** Lambda carries 6 MB, counted as JSON text in a JSON string. */
const MAX_ANSWER_BYTES = 6_000_000;

/**
 * Makes a Lambda handler of one route: parses the request by it, calls `run`, and turns every outcome into an answer.
 * Errors become application/problem+json (RFC 9457): a CallerError its own status, a database or queue that does not answer
 * in time 503, anything else 500 without its text.
 */
export function http<const R extends Route>(route: R, run: (call: Call<R>) => Promise<Answer>): HttpHandler {
  const repeatable = route.repeatable ?? route.method === "GET";
  return async (event, context) => {
    const started = performance.now();
    const elapsed = () => performance.now() - started;
    const remainingMs = () => Math.min(context?.getRemainingTimeInMillis() ?? GATEWAY_MS, GATEWAY_MS - elapsed());
    const traceId = traceOf(headersOf(event)["traceparent"]);
    const bound = log.with({ trace_id: traceId, operation: route.operation });
    const told: Fields = {};
    const tell = (fields: Fields) => void Object.assign(told, fields);
    const handle = async (): Promise<APIGatewayProxyStructuredResultV2> => {
      const parts = parseRequest(route, event) as Pick<Call<R>, "params" | "query" | "headers" | "body">;
      const { method, path } = event.requestContext.http;
      const call: Call<R> = { ...parts, method, path, callId: uuidv7(), traceId, log: bound, tell, remainingMs };
      return render(await withConnections(repeatable, () => run(call)), traceId);
    };
    try {
      const answer = await inTime(remainingMs() - ANSWER_MS, handle());
      bound.info("request answered", { ...told, status: answer.statusCode, duration_ms: Math.round(elapsed()) });
      return answer;
    } catch (error) {
      const { problem, headers } = problemOf(error, traceId);
      const { status, code, errors } = problem;
      const line = { ...told, status, code, duration_ms: Math.round(elapsed()) };
      if (status < 500) bound.info("request refused", { ...line, fields: errors?.map(({ field }) => field) });
      else bound.error("request failed", { ...line, error });
      return render({ status, body: problem, headers: { ...headers, "content-type": PROBLEM } }, traceId);
    }
  };
}

/** Whether Lambda can carry this body back to API Gateway. */
export function fitsLambda(text: string): boolean {
  return text.length <= MAX_ANSWER_BYTES / 6 || Buffer.byteLength(JSON.stringify(text)) <= MAX_ANSWER_BYTES;
}

const PROBLEM = "application/problem+json";

async function inTime<T>(ms: number, running: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const error = new Unavailable("The call was not done in the time that its function has.");
      // What it still waits for may be a connection that is dead without a word.
      renewAll(error);
      reject(error);
    }, ms);
  });
  try {
    return await Promise.race([running, late]);
  } finally {
    clearTimeout(timer);
  }
}

function render({ status, body, bytes, headers: own }: Answer, traceId: string): APIGatewayProxyStructuredResultV2 {
  const headers = {
    ...(body === undefined ? {} : { "content-type": "application/json" }),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-trace-id": traceId,
    ...own,
  };
  if (bytes !== undefined) {
    return { statusCode: status, headers, body: Buffer.from(bytes).toString("base64"), isBase64Encoded: true };
  }
  const text = body === undefined ? "" : JSON.stringify(body);
  if (!fitsLambda(text)) {
    const message = "The answer would be larger than 6 MB. Ask for less at once, such as with a smaller limit.";
    throw new CallerError(413, "answer_too_large", message);
  }
  return { statusCode: status, headers, body: text };
}
