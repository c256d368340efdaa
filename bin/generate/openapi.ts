// Own, though zod-openapi and zod-to-openapi are there: zod makes the schemas itself, and what is left, a Route as an operation with
// the answers that all have, would have to be written for them too.
import type * as z from "zod";
import type { Need } from "../../lib/access/may.ts";
import { PROBLEM, Problem } from "../../lib/runtime/http/problem.ts";
import type { AnswerSpec, Route } from "../../lib/runtime/http/route.ts";
import { collect, type Json, jsonValue } from "./json-schema.ts";

/** Of the HTTP API: the first number changes when a call that worked no longer does. */
const API_VERSION = "2.0.0";

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
      description:
        "Submit work for AI agents, follow it, and ask afterwards. Every error is application/problem+json, but below /llm/v1/, " +
        "where it is the vendor's own. HEAD is answered wherever GET is, without the content. No origin of a browser is let in (CORS).",
      license: { name: "MIT", identifier: "MIT" },
    },
    paths,
    security: [{ key: [] }],
    components: {
      schemas: { JsonValue: jsonValue, ...sorted },
      headers: { TraceId },
      securitySchemes: { key: { type: "http", scheme: "bearer", description: "A key, wb_…, or a token of OIDC" } },
    },
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
    ...(route.access === "open" ? { security: route.tells === undefined ? [] : [{}, { key: [] }] } : {}),
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
  // What is empty in a query is refused.
  const least = ({ type }: Json) => (place === "query" && type === "string" ? { minLength: 1 } : {});
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name: place === "header" ? name.replaceAll(/(^|-)[a-z]/g, (start) => start.toUpperCase()) : name,
    in: place,
    ...(place === "path" || required.includes(name) ? { required: true } : {}),
    ...(description === undefined ? {} : { description }),
    // lib/input/list-of.ts: with commas, and not the name once more.
    ...(rest["type"] === "array" ? { explode: false } : {}),
    schema: { ...least(rest), ...rest },
  }));
}

/** What a call asks of its caller, in a sentence's end. */
function needOf({ role, scope, agents }: Need): string {
  const others = agents === undefined ? "" : agents === "any" ? ", or a key of an agent" : ", or the key of this agent";
  return `it takes the role ${role} and the scope ${scope}${others}`;
}

/** What any call may answer beside what its route says. */
function commonAnswers(route: Route): Record<number, AnswerSpec> {
  const tooLarge = "The answer would be over 6 MB: ask for less at once";
  return {
    400: { description: "The request is not valid; `errors` has one entry per field" },
    ...(route.access === "open"
      ? {}
      : {
          401: {
            description: "Nobody is known by what the call shows; `code` says why",
            headers: ["www-authenticate"],
          },
          403: { description: `The caller may not: ${needOf(route.access)}` },
          429: {
            description: "The key has limits, and no more of them now",
            headers: ["retry-after", "ratelimit", "ratelimit-policy"],
          },
        }),
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
    Object.entries(answers).map(([status, spec]) => [
      status,
      answerOf(route, Number.parseInt(status, 10), spec, schemaOf),
    ]),
  );
}

function answerOf(route: Route, status: number, spec: AnswerSpec, schemaOf: SchemaOf): Json {
  const { description, headers = [] } = spec;
  const named = headers.map((name) => [name, { schema: { type: "string" } }] as const);
  return {
    description,
    headers: { ...Object.fromEntries(named), "x-trace-id": { $ref: "#/components/headers/TraceId" } },
    ...contentOf(route, status, spec, schemaOf),
  };
}

function contentOf({ errors }: Route, status: number, spec: AnswerSpec, schemaOf: SchemaOf): Json {
  const { schema, contentType: type, stream = false, lines = false } = spec;
  const text = { schema: { type: "string" } };
  const json = (of: z.ZodType) => ({ schema: schemaOf(of, "output") });
  const events = stream ? { "text/event-stream": text } : {};
  const inLines = lines ? { "application/x-ndjson": text } : {};
  if (schema !== undefined) return { content: { [type ?? "application/json"]: json(schema), ...events, ...inLines } };
  if ((status >= 400 || status === 4) && errors !== undefined)
    return { content: { "application/json": json(errors.schema) } };
  if (status >= 400) return { content: { [PROBLEM]: json(Problem) } };
  return type === undefined ? {} : { content: { [type]: text } };
}
