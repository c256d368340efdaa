import { expect, test } from "vitest";
import { routeTo, takeHttpRoutes } from "../../../localstack/functions/http-routes.ts";
import type { Service } from "../../../localstack/functions/serverless-service.ts";

type Events = NonNullable<Service["functions"][string]["events"]>;

function service(events: Record<string, Events>): Service {
  const functions = Object.entries(events).map(([key, own]) => [key, { name: `waybill-dev-${key}`, events: own }]);
  return { provider: { region: "eu-central-1" }, functions: Object.fromEntries(functions) as Service["functions"] };
}

const routes = takeHttpRoutes(
  service({
    rest: [{ httpApi: "*" }],
    files: [{ httpApi: { method: "GET", path: "/files/{path+}" } }],
    any: [{ httpApi: { method: "*", path: "/work/{task_id}" } }],
    console: [{ httpApi: "ANY /console/{path+}" }],
    get: [{ httpApi: "GET /work/{task_id}" }],
    mine: [{ httpApi: "GET /work/mine" }],
    list: [{ httpApi: "GET /work" }, { httpApi: "POST /work" }],
  }),
);

test.each([
  ["GET", "/work", "list", "GET /work", {}],
  ["POST", "/work", "list", "POST /work", {}],
  ["GET", "/work/mine", "mine", "GET /work/mine", {}],
  ["GET", "/work/a%20b%2Fc", "get", "GET /work/{task_id}", { task_id: "a b/c" }],
  ["PUT", "/work/1", "any", "ANY /work/{task_id}", { task_id: "1" }],
  ["GET", "/files/a/b", "files", "GET /files/{path+}", { path: "a/b" }],
  ["PATCH", "/console/a/b", "console", "ANY /console/{path+}", { path: "a/b" }],
  ["GET", "/console", "rest", "$default", {}],
  ["HEAD", "/work", "rest", "$default", {}],
  ["GET", "/work/", "rest", "$default", {}],
  ["GET", "/", "rest", "$default", {}],
  ["GET", "/nowhere/at/all", "rest", "$default", {}],
])("%s %s goes to %s", (method, path, functionKey, routeKey, params) => {
  expect(routeTo(routes, method, path)).toMatchObject({ functionKey, routeKey, params });
});

test("the events are taken out of the service, so that serverless-offline serves none of them; others stay", () => {
  const sqs = { arn: { "Fn::GetAtt": ["Queue", "Arn"] as [string, string] } };
  const local = service({ one: [{ httpApi: "GET /one" }, { sqs }] });

  expect(takeHttpRoutes(local)).toHaveLength(1);
  expect(local.functions["one"]?.events).toEqual([{ sqs }]);
});

test("without a catch-all an unknown path has no route", () => {
  expect(routeTo(takeHttpRoutes(service({ one: [{ httpApi: "GET /one" }] })), "GET", "/two")).toBeUndefined();
});
