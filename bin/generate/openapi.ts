// Own, though zod-openapi and zod-to-openapi are there: zod makes the schemas itself, and what is left, a Route as an operation with
// the answers that all have, would have to be written for them too.
import * as z from "zod";
import { PROBLEM, Problem } from "../../lib/runtime/http/problem.ts";
import type { AnswerSpec, Route } from "../../lib/runtime/http/route.ts";

/** Of the HTTP API: the first number changes when a call that worked no longer does. */
const API_VERSION = "1.0.0";

/** JSON as the document is made of it. */
export type Json = Record<string, unknown>;

/**
 * The OpenAPI 3.1 document of these routes, but for those with ANY, which OpenAPI has no word for. Schemas that have a meta id
 * become components; throws where two share one.
 */
export function openApi(routes: readonly Route[]): Json {
  const schemas: Record<string, Json> = {};
  const schemaOf = (schema: z.ZodType, io: "input" | "output") => collect(schema, io, schemas);
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    if (route.method === "ANY") continue;
    const path = (paths[route.path.replace("+}", "}")] ??= {});
    path[route.method.toLowerCase()] = operationOf(route, schemaOf);
  }
  schemaOf(Problem, "output");
  const sorted = Object.fromEntries(Object.entries(schemas).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return {
    openapi: "3.1.1",
    info: {
      title: "Waybill",
      version: API_VERSION,
      description: "Submit work for AI agents, follow it, and ask afterwards. Every error is application/problem+json.",
      license: { name: "MIT", identifier: "MIT" },
    },
    paths,
    components: { schemas: sorted, headers: { TraceId } },
  };
}

const TraceId = {
  description: "Names this call in the log: the trace of the header traceparent where that was sent.",
  schema: { type: "string", format: "uuid" },
};

type SchemaOf = (schema: z.ZodType, io: "input" | "output") => Json;

function operationOf(route: Route, schemaOf: SchemaOf): Json {
  const { operation, summary, params, query, headers, body, bodyTypes = [] } = route;
  const parameters = [
    ...parametersOf("path", params, schemaOf),
    ...parametersOf("query", query || undefined, schemaOf),
    ...parametersOf("header", headers, schemaOf),
  ];
  const inPath = [...route.path.matchAll(/\{(\w+)\+?\}/g)].map(([, name]) => name).join();
  const named = Object.keys(params?.shape ?? {}).join();
  if (inPath !== named)
    throw new Error(`${route.path} has the parameters ${inPath}, its schema ${named}. Make them equal.`);
  return {
    operationId: operation,
    summary,
    tags: [route.path.split("/")[1] ?? ""],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: bodyOf(body, bodyTypes, schemaOf) }),
    responses: responsesOf(route, schemaOf),
  };
}

function bodyOf(body: z.ZodType, types: readonly string[], schemaOf: SchemaOf): Json {
  const schema = schemaOf(body, "input");
  const content = Object.fromEntries(["application/json", ...types].map((type) => [type, { schema }]));
  return { required: !body.safeParse(undefined).success, content };
}

function parametersOf(place: "path" | "query" | "header", schema: z.ZodObject | undefined, schemaOf: SchemaOf): Json[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = schemaOf(schema, "input") as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name: place === "header" ? name.replaceAll(/(^|-)[a-z]/g, (start) => start.toUpperCase()) : name,
    in: place,
    ...(place === "path" || required.includes(name) ? { required: true } : {}),
    ...(description === undefined ? {} : { description }),
    schema: rest,
  }));
}

/** What any call may answer beside what its route says. */
function commonAnswers(route: Route): Record<number, AnswerSpec> {
  const tooLarge = "The answer would be over 6 MB: ask for less at once";
  return {
    400: { description: "The request is not valid; `errors` has one entry per field" },
    413: { description: route.body === undefined ? tooLarge : `The body is over 1 MiB. ${tooLarge}` },
    ...(route.body === undefined
      ? {}
      : { 415: { description: "The body is compressed", headers: ["accept-encoding"] } }),
    500: { description: "A fault of ours; the log has it under `trace_id`" },
    503: { description: "The database or a queue does not answer; send the same call again", headers: ["retry-after"] },
  };
}

function responsesOf(route: Route, schemaOf: SchemaOf): Json {
  const answers = { ...commonAnswers(route), ...route.answers };
  return Object.fromEntries(
    Object.entries(answers).map(([status, spec]) => [status, answerOf(Number(status), spec, schemaOf)]),
  );
}

function answerOf(
  status: number,
  { description, schema, contentType, headers = [] }: AnswerSpec,
  schemaOf: SchemaOf,
): Json {
  const named = headers.map((name) => [name, { schema: { type: "string" } }] as const);
  return {
    description,
    headers: { ...Object.fromEntries(named), "x-trace-id": { $ref: "#/components/headers/TraceId" } },
    ...contentOf(status, schema, contentType, schemaOf),
  };
}

function contentOf(status: number, schema: z.ZodType | undefined, type: string | undefined, schemaOf: SchemaOf): Json {
  if (schema !== undefined)
    return { content: { [type ?? "application/json"]: { schema: schemaOf(schema, "output") } } };
  if (status >= 400) return { content: { [PROBLEM]: { schema: schemaOf(Problem, "output") } } };
  return type === undefined ? {} : { content: { [type]: { schema: { type: "string" } } } };
}

/** One schema as JSON Schema; what it calls by a meta id is moved to `components`. */
function collect(schema: z.ZodType, io: "input" | "output", components: Record<string, Json>): Json {
  const made = z.toJSONSchema(schema, { io, override: simplify }) as Json;
  const { $schema: _, $defs = {}, ...rest } = rename(made) as { $schema?: string; $defs?: Record<string, Json> };
  for (const [id, definition] of Object.entries($defs)) {
    const known = components[id];
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(definition)) {
      throw new Error(`Two schemas have the meta id ${id}. Give one of them another.`);
    }
    components[id] = definition;
  }
  return rest;
}

function rename(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(rename);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      key === "$ref" && typeof inner === "string" ? inner.replace("#/$defs/", "#/components/schemas/") : rename(inner),
    ]),
  );
}

/** Drops what zod says at length: `format` carries the calendar and the form of a UUID, and keys of JSON are strings anyway. */
function simplify({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodTypes; jsonSchema: Json }): void {
  const { type, format } = (zodSchema as unknown as z.ZodType).def as { type: string; format?: string };
  delete jsonSchema["propertyNames"];
  if (type === "string" && format === "datetime") {
    delete jsonSchema["allOf"];
    jsonSchema["format"] = "date-time";
  }
  if (["date-time", "uuid"].includes(String(jsonSchema["format"]))) delete jsonSchema["pattern"];
  if (jsonSchema["minimum"] === Number.MIN_SAFE_INTEGER) delete jsonSchema["minimum"];
  if (jsonSchema["maximum"] === Number.MAX_SAFE_INTEGER) delete jsonSchema["maximum"];
}
