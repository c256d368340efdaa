import * as z from "zod";
import { CallerError, type FieldFault } from "../../errors.ts";
import { describeIssue, faultsOf } from "../../input/faults.ts";
import { findUnstorable, type JsonFault, parseJson, printable } from "../../input/json.ts";
import type { RequestSource } from "./web.ts";

/** A body may have 1 MiB and be nested 64 levels deep. */
export const MAX_BODY_BYTES = 1_048_576;
const MAX_BODY_DEPTH = 64;

/**
 * The parts of a request that a route names, each by its schema. A query that is not named must be empty; false: it is
 * not looked at.
 */
export type RequestParts = {
  params?: z.ZodObject;
  query?: z.ZodObject | false;
  headers?: z.ZodObject;
  /** One that takes undefined may be left out. */
  body?: z.ZodType;
  /** Other content types than JSON: the handler gets the text as it came and reads it itself; `body` is for the document. */
  bodyTypes?: readonly string[];
};

type Part = Exclude<keyof RequestParts, "bodyTypes">;

/** Parses every part that is named. Throws a CallerError with one entry per field that is wrong, of all parts. */
export function parseRequest(
  named: RequestParts,
  request: RequestSource,
  params: Record<string, string | undefined>,
): Partial<Record<Part, unknown>> {
  const faults: FieldFault[] = [];
  const values: Partial<Record<Part, unknown>> = {};
  const add = (part: string, found: FieldFault[]) =>
    faults.push(...found.map(({ field, message }) => ({ field: field || part, message })));
  const parse = (part: Part, schema: z.ZodType | undefined, given: unknown) => {
    if (schema === undefined) return;
    const unstorable = findUnstorable(given);
    const result = schema.safeParse(given, { error: describeIssue });
    if (result.success) values[part] = result.data;
    if (unstorable !== undefined) add(part, [unstorable]);
    else if (!result.success) add(part, faultsOf(result.error));
  };
  parse("params", named.params, params);
  if (named.query !== false) {
    const query = readQuery(request.search);
    faults.push(...query.faults);
    parse("query", named.query ?? z.strictObject({}), query.values);
  }
  parse("headers", named.headers, pick(Object.keys(named.headers?.shape ?? {}), request.headers));
  if (named.body !== undefined && named.bodyTypes !== undefined) values.body = readBody(request);
  else if (named.body !== undefined) parse("body", named.body, parseBody(request, named.body));
  if (faults.length > 0) throw invalid(faults);
  return values;
}

function invalid(fields: FieldFault[]): CallerError {
  const named = fields.slice(0, 5).map(({ field }) => field);
  const more = fields.length > named.length ? ` and ${fields.length - named.length} more` : "";
  return new CallerError(400, "invalid_input", `The request is not valid: see ${named.join(", ")}${more}.`, { fields });
}

function pick(names: string[], headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (Object.hasOwn(headers, name) ? [[name, headers[name] ?? ""]] : [])),
  );
}

/**
 * From the raw query: API Gateway joins a parameter that is given twice with a comma, which then looks like a value
 * with a comma in it. One without a value is refused, for it would find nothing where its caller meant everything.
 */
function readQuery(search: string): { values: Record<string, string>; faults: FieldFault[] } {
  const values = new Map<string, string>();
  const faults: FieldFault[] = [];
  for (const pair of search.split("&")) {
    const [rawName = "", ...rest] = pair.split("=");
    const name = decode(rawName);
    const value = decode(rest.join("="));
    if (name === undefined || value === undefined) {
      const field = printable(name ?? rawName);
      faults.push({ field, message: "has a % that is not part of a percent-encoded UTF-8 character; write % as %25" });
    } else if (values.has(name)) {
      faults.push({ field: printable(name), message: "is given more than once; give it once" });
    } else if (value === "" && pair !== "") {
      faults.push({ field: printable(name), message: "is empty; give it a value or leave it out" });
    } else if (pair !== "") values.set(name, value);
  }
  return { values: Object.fromEntries(values), faults };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}

/** Whatever is JSON is taken, whatever its content-type: curl -d alone says that it is a form. */
function parseBody(request: RequestSource, schema: z.ZodType): unknown {
  const text = readBody(request);
  if (text.trim() === "") {
    if (schema.safeParse(undefined).success) return undefined;
    const message = "The body is empty. Send a JSON object with content-type: application/json.";
    throw new CallerError(400, "invalid_json", message);
  }
  const json = parseJson(text, MAX_BODY_DEPTH);
  if (!json.ok) throw jsonError(json.fault);
  return json.value;
}

function readBody({ headers, body = "" }: RequestSource): string {
  const encoding = headers["content-encoding"] ?? "identity";
  if (encoding.toLowerCase() !== "identity") {
    const message = `A body with content-encoding ${printable(encoding, 40)} is not taken. Send it as it is.`;
    throw new CallerError(415, "unsupported_encoding", message, { headers: { "accept-encoding": "identity" } });
  }
  const size = Buffer.byteLength(body);
  if (size > MAX_BODY_BYTES) {
    throw new CallerError(413, "body_too_large", `The body has ${size} bytes; at most ${MAX_BODY_BYTES} are taken.`);
  }
  return (typeof body === "string" ? body : decodeUtf8(body)).replace(/^\uFEFF/, "");
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CallerError(400, "invalid_json", "The body is not UTF-8 text. Send it in UTF-8.", { cause });
  }
}

function jsonError({ code, field, message }: JsonFault): CallerError {
  const fields = [{ field: field === "" ? "body" : field, message }];
  const text = `The body${field === "" ? "" : `'s ${field}`} ${message}.`;
  return new CallerError(400, code === "unstorable" ? "invalid_input" : code, text, { fields });
}
