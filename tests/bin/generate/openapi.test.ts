import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { expect, test } from "vitest";
import { parse } from "yaml";
import * as z from "zod";
import { openApi } from "../../../bin/generate/openapi.ts";
import { handler as getOpenApi } from "../../../functions/system/get-openapi.ts";
import type { Route } from "../../../lib/runtime/http/route.ts";
import { accepts, document, expectConforms } from "../../support/http/conform.ts";
import { call } from "../../support/http/events.ts";

type HttpApi = string | { method: string; path: string };
type Service = { functions: Record<string, { events?: { httpApi?: HttpApi }[] }> };

function deployed(): string[] {
  const { functions } = parse(readFileSync("deploy/http.yml", "utf8"), { logLevel: "error" }) as Service;
  return Object.values(functions)
    .flatMap(({ events = [] }) => events.flatMap(({ httpApi }) => (httpApi === undefined ? [] : [httpApi])))
    .map((event) => (typeof event === "string" ? event : `${event.method} ${event.path}`))
    .filter((event) => event !== "*");
}

test("every route of deploy/http.yml is in the document, and the reverse; HEAD is wherever GET is", () => {
  const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).flatMap((method) =>
      (method === "get" ? ["GET", "HEAD"] : [method.toUpperCase()]).map((name) => `${name} ${path}`),
    ),
  );

  expect(documented.toSorted()).toEqual(deployed().toSorted());
});

test("the document is valid OpenAPI 3.1, and GET /openapi.json answers it", async () => {
  const { json, status } = await call(getOpenApi, "/openapi.json");
  const validator = new Validator();

  expect(status).toBe(200);
  expect(await validator.validate(json)).toEqual({ valid: true });
  expect(validator.version).toBe("3.1");
  expect(json).toEqual(JSON.parse(JSON.stringify(document)));
});

test("every operation has an id of its own, and says what happens to bad input and to faults of ours", () => {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.values(methods).map((operation) => ({ path, ...operation })),
  );
  const ids = operations.map(({ operationId }) => operationId);

  expect(new Set(ids).size).toBe(ids.length);
  for (const { path, responses } of operations) {
    const type = path.startsWith("/llm/v1/") ? "application/json" : "application/problem+json";
    for (const status of ["400", "500"])
      expect([path, ...Object.keys(responses[status]?.content ?? {})]).toEqual([path, type]);
    expect(responses).toHaveProperty("503");
  }
});

test.each([
  ["a NUL", { parameters: { a: ["\0"] } }],
  ["a NUL in a name", { parameters: { "a\0": 1 } }],
  ["a NUL in a text", { request_text: "a\0" }],
  ["blanks alone", { request_text: " \n" }],
  ["__proto__", { hints: { deep: JSON.parse('{"__proto__":1}') } }],
  ["a whole number that no float holds", { parameters: { a: 2 ** 53 } }],
  ["a hint of another kind", { hints: { files: 5 } }],
  ["a key that is nobody's", { request_id: "00000000-0000-0000-0000-000000000000" }],
])("the document refuses what the code refuses of work: %s", (_what, wrong) => {
  const work = { request_text: "do it", work_type: "code.run", parameters: { a: [1, 2.5, null, "b"], b: { c: true } } };

  expect(accepts("/work", work)).toBe(true);
  expect(accepts("/work", { ...work, ...wrong })).toBe(false);
});

test("the document knows that nobody is called policy, and that a query has no empty values", () => {
  expect(accepts("/work/{task_id}/approve", { by: "ada" })).toBe(true);
  expect(accepts("/work/{task_id}/approve", { by: "Policy" })).toBe(false);
  const listed = document.paths["/work"]?.["get"] as { parameters?: { name: string; schema: object }[] } | undefined;
  expect(listed?.parameters?.find(({ name }) => name === "work_type")?.schema).toMatchObject({ minLength: 1 });
});

test("every reference leads somewhere", () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#([^"]*)"/g)].map(([, path]) => path ?? "");

  expect(references.length).toBeGreaterThan(10);
  for (const reference of references) expect(document).toHaveProperty(reference.split("/").slice(1));
});

test("a call's parts are described as they are parsed", () => {
  expect(document.paths["/work"]?.["get"]).toMatchObject({
    parameters: expect.arrayContaining([
      { name: "limit", in: "query", schema: { type: "integer", minimum: 1, maximum: 100, default: 20 } },
    ]),
  });
  expect(document.paths["/work"]?.["post"]).toMatchObject({
    parameters: [expect.objectContaining({ name: "Idempotency-Key", in: "header" })],
    requestBody: { required: true },
    responses: { 201: { headers: { location: {} } } },
  });
  expect(document.paths["/work/{task_id}"]?.["get"]).toMatchObject({
    parameters: [
      { name: "task_id", in: "path", required: true, schema: { type: "string", format: "uuid" } },
      expect.objectContaining({ name: "wait", in: "query" }),
    ],
  });
});

const route = {
  method: "GET",
  path: "/things/{id}",
  operation: "getThing",
  summary: "s",
  access: "open",
  function: "get-thing",
  params: z.object({ id: z.string() }),
  answers: { 200: { description: "d", schema: z.strictObject({ a: z.string() }).meta({ id: "OpenApiTestThing" }) } },
} satisfies Route;

test("a path and a schema that name different parameters are refused", () => {
  expect(() => openApi([{ ...route, path: "/things/{name}" }])).toThrow("has the parameters name, its schema id");
});

test("two schemas under one name are refused", () => {
  const defaulted = z.strictObject({ a: z.string().default("x") }).meta({ id: "OpenApiTestTwice" });
  const both: Route = {
    ...route,
    method: "POST",
    body: defaulted,
    answers: { 200: { description: "d", schema: defaulted } },
  };

  expect(() => openApi([both])).toThrow("Two schemas have the meta id OpenApiTestTwice");
});

const problem = {
  type: "urn:waybill:problem:not_found",
  title: "Not Found",
  status: 404,
  code: "not_found",
  detail: "d",
  trace_id: "0198c5f2-7c1e-7000-8000-0123456789ab",
};
const headers = { "content-type": "application/problem+json", "x-trace-id": problem.trace_id };

test.each([
  ["another status", "GET", "/health", { status: 418, headers, text: "{}" }],
  ["another content-type", "GET", "/work", { status: 200, headers, text: "{}" }],
  ["a body of another form", "GET", "/work", { status: 404, headers, text: "{}" }],
  ["a field too many", "GET", "/work/1", { status: 404, headers, text: JSON.stringify({ ...problem, more: 1 }) }],
  [
    "a header missing",
    "GET",
    "/work/1",
    { status: 404, headers: { "content-type": headers["content-type"] }, text: JSON.stringify(problem) },
  ],
  ["no problem on an unknown path", "GET", "/nowhere", { status: 200, headers, text: "{}" }],
])("the check of answers finds %s", (_what, method, path, answer) => {
  expect(() => expectConforms(method, path, answer)).toThrow("which is not in the document");
});

test("the check of answers takes what conforms", () => {
  expectConforms("GET", "/work/1", { status: 404, headers, text: JSON.stringify(problem) });

  expect(document.components.schemas).toHaveProperty("Problem");
});

test("a greedy parameter is one of its path, and a route for any method is not in the document", () => {
  const console = {
    method: "GET",
    path: "/console/{path+}",
    operation: "console",
    summary: "A console.",
    access: "open",
    function: "console",
    params: z.object({ path: z.string() }),
    answers: { 200: { description: "whatever it says" } },
  } as const satisfies Route;

  const { paths } = openApi([console, { ...console, method: "ANY", path: "/any/{path+}" }]);

  expect(paths).toMatchObject({ "/console/{path}": { get: { parameters: [{ name: "path", in: "path" }] } } });
  expect(paths).not.toHaveProperty("/any/{path}");
});
