import { expect, test } from "vitest";
import * as z from "zod";
import { handler } from "../../../functions/system/not-found.ts";
import { apiGateway } from "../../../lib/runtime/http/lambda.ts";
import { matchPath, notFound } from "../../../lib/runtime/http/not-found.ts";
import type { Route } from "../../../lib/runtime/http/route.ts";
import { serve, json as served } from "../../../lib/runtime/http/serve.ts";
import { call } from "../../support/http/events.ts";
import { eventOf, seen } from "../../support/http/http-event.ts";

test.each(["/", "/nowhere", "/work/1/2/3", "/works", "/work/", "/work//logs", "/openapi.json/x", "/Health"])(
  "%s is not found, and the answer lists nothing but where to look",
  async (path) => {
    const { status, json } = await call(handler, path);

    expect([status, json.code]).toEqual([404, "not_found"]);
    expect(json.detail).toBe("Nothing has this path. GET /openapi.json lists what there is.");
  },
);

test.each([
  ["DELETE", "/work", "GET, HEAD, POST"],
  ["PUT", "/work/1", "DELETE, GET, HEAD"],
  ["GET", "/work/1/approve", "POST"],
  ["HEAD", "/work/1/approve", "POST"],
  ["OPTIONS", "/work", "GET, HEAD, POST"],
])("%s %s is not allowed, and Allow says what is: %s", async (method, path, allow) => {
  const { status, json, headers } = await call(handler, path, { method });

  expect([status, json.code, headers["allow"]]).toEqual([405, "method_not_allowed", allow]);
});

test("a preflight is told that no page is let in, and nothing in the answer lets one in", async () => {
  const headers = { origin: "https://page.example", "access-control-request-method": "POST" };

  const answer = await call(handler, "/work", { method: "OPTIONS", headers });

  expect(answer.json.detail).toContain("pages of other origins are not let in");
  expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
});

test("a query or a body makes no difference", async () => {
  const { status } = await call(handler, "/nowhere?a=1&a=2&%zz", { method: "POST", raw: "{" });

  expect(status).toBe(404);
});

test.each([
  ["/work/{task_id}", "/work/a%20b", { task_id: "a b" }],
  ["/work/{task_id}", "/work/a/b", undefined],
  ["/console/{path+}", "/console/a", { path: "a" }],
  ["/console/{path+}", "/console/a/b%20c/", { path: "a/b c/" }],
  ["/console/{path+}", "/console/", undefined],
  ["/console/{path+}", "/console", undefined],
  ["/console/{path+}", "/other/a", undefined],
])("%s reads %s as %j", (pattern, path, read) => {
  expect(matchPath(pattern, path)).toEqual(read);
});

test("a route with ANY takes whatever method, found by API Gateway or by its path", async () => {
  const console = {
    method: "ANY",
    path: "/console/{path+}",
    operation: "console",
    summary: "A console.",
    access: "open",
    function: "console",
    params: z.object({ path: z.string() }),
    answers: { 200: { description: "whatever it says" } },
  } as const satisfies Route;
  const mounted = apiGateway(
    serve([served(console, async ({ method, params }) => ({ status: 200, body: { method, ...params } }))]),
  );
  const matched = { routeKey: "ANY /console/{path+}", pathParameters: { path: "a/b" } };

  for (const method of ["GET", "PATCH", "OPTIONS"]) {
    for (const found of [{}, { routeKey: "$default" }, matched]) {
      const answer = seen(await mounted(eventOf({ rawPath: "/console/a/b", method, ...found })));
      expect(answer.json).toEqual({ method, path: "a/b" });
    }
  }
  expect((await mounted(eventOf({ rawPath: "/console" }))).statusCode).toBe(404);
});

test("a path whose routes take any method allows them all", () => {
  const [any, get] = ["ANY", "GET"] as const;
  const routes = [
    { method: any, path: "/console/{path+}" } as const,
    { method: get, path: "/console/{path}" } as const,
  ];

  expect(notFound(routes, "TRACE", "/console/a")).toMatchObject({
    status: 405,
    headers: { allow: "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT" },
  });
  expect(notFound(routes, "GET", "/console")).toMatchObject({ status: 404 });
});
