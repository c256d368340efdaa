import type * as z from "zod";
import type { Access, Need } from "../../access/may.ts";
import type { Fields, Log } from "../log.ts";
import type { Problem } from "./problem.ts";
import type { RequestParts } from "./request.ts";

/**
 * One way to answer: what it means and, where the body is JSON, its schema; `stream`: that it may come as server-sent events, too, `lines`: as
 * lines of JSON.
 * From 400 on the body is a problem.
 */
export type AnswerSpec = {
  description: string;
  schema?: z.ZodType;
  contentType?: string;
  headers?: string[];
  stream?: boolean;
  lines?: boolean;
};

/** Errors in the words of a protocol that has its own, as JSON: their schema, and how a problem is told in them. */
export type ErrorWords = { schema: z.ZodType; tell: (problem: Problem) => unknown };

/** A method of API Gateway; ANY: whichever it is, as foreign handlers take it. */
export type Method = (typeof METHODS)[number] | "ANY";
export const METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"] as const;

/**
 * One call of the HTTP API, stated once: the handler parses by it; the OpenAPI document, the deployment's events and their
 * authorizers are made of it (`npm run generate`).
 */
export type Route = RequestParts & {
  method: Method;
  /** A part `{name}` takes one part of a path; a last part `{name+}` takes all the rest, at least one. */
  path: `/${string}`;
  operation: string;
  summary: string;
  access: Access;
  /** Of an open route: whom it tells more. Who is not known, or may not, is answered all the same. */
  tells?: Need;
  /** The Lambda function that serves it, by the name it is deployed under; lib/wiring/functions.ts lists them. */
  function: string;
  /** Whether the whole call may be run again when the database connection is lost in the middle; a GET always may. */
  repeatable?: boolean;
  /** By status; 4XX: whichever else a caller may get of what is behind. */
  answers: { [status: number]: AnswerSpec; "4XX"?: AnswerSpec };
  /** Where not RFC 9457 has the word. */
  errors?: ErrorWords;
};

type Part<S> = S extends z.ZodType ? z.infer<S> : undefined;

/**
 * What whoever admits a call looks at: what stands before the function says of the caller, the headers as they came, their names in lower
 * case, and the parts of the path.
 */
export type Asked = {
  authorizer: Authorizer;
  headers: Readonly<Record<string, string>>;
  params: Readonly<Record<string, string | undefined>>;
  /** The size of its body. */
  bytes: number;
  /** The address that the call came from, and its trace; `ip` null where the platform does not say it. */
  origin: { ip: string | null; traceId: string };
  /** Runs something once the answer has been given. */
  waitUntil: (after: () => Promise<void>) => void;
  /** As a call has it. */
  tell: (fields: Fields) => void;
};

/** `lambda`: what the Lambda authorizer says of the caller; `iam`: who signed the call. Empty where nobody was asked. */
export type Authorizer = Readonly<Record<string, unknown>>;

/** What a use case gets of a call: the parts that its route names, parsed, and the fields that join its log lines. */
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
