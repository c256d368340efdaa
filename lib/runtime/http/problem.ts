import * as z from "zod";
import { CallerError, type FieldFault, Misconfigured, Unavailable } from "../../errors.ts";
import { isDatabaseAway } from "../postgres/db-errors.ts";

/** The content type of every error of ours (RFC 9457). */
export const PROBLEM = "application/problem+json";

/** RFC 9457, with a stable `code`, the trace to ask about, and one entry per field that is wrong. */
export const Problem = z
  .strictObject({
    type: z.string().describe("urn:waybill:problem: and the code"),
    title: z.string(),
    status: z.int(),
    code: z.string().describe("stable, for programs"),
    detail: z.string().describe("for people: what is wrong and what to do"),
    trace_id: z.string().describe("names this call in the log"),
    errors: z
      .array(
        z.strictObject({
          field: z.string(),
          message: z.string(),
          line: z.int().optional().describe("in a body that was read as YAML"),
          column: z.int().optional(),
        }),
      )
      .optional()
      .describe("one entry per field that is wrong"),
  })
  .meta({ id: "Problem" });
export type Problem = z.infer<typeof Problem>;

const TITLES: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  417: "Expectation Failed",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

/** The problem that an error becomes, and the headers that go with it. Only the words of a CallerError or Misconfigured reach the caller. */
export function problemOf(error: unknown, traceId: string): { problem: Problem; headers: Record<string, string> } {
  if (error instanceof CallerError) {
    const { status, code, message, fields, headers } = error;
    return { problem: make(status, code, message, traceId, fields), headers };
  }
  if (isTransient(error)) {
    const detail = "A part that this call needs does not answer at the moment. Send the same call again.";
    return { problem: make(503, "unavailable", detail, traceId), headers: { "retry-after": "1" } };
  }
  if (error instanceof Misconfigured) {
    return { problem: make(503, "misconfigured", error.message, traceId), headers: {} };
  }
  const detail = `The call failed for a reason of ours. The log has it under trace_id ${traceId}.`;
  return { problem: make(500, "internal_error", detail, traceId), headers: {} };
}

function isTransient(error: unknown): boolean {
  return error instanceof Unavailable || isDatabaseAway(error);
}

function make(status: number, code: string, detail: string, traceId: string, fields: FieldFault[] = []): Problem {
  return {
    type: `urn:waybill:problem:${code}`,
    title: TITLES[status] ?? "Error",
    status,
    code,
    detail,
    trace_id: traceId,
    ...(fields.length === 0 ? {} : { errors: fields }),
  };
}
