import { expect, test } from "vitest";
import { httpYaml } from "../../../bin/generate/deployment.ts";
import { handler as getOutput } from "../../../functions/work/get-output.ts";
import { handler as getWork } from "../../../functions/work/get-work.ts";
import { handler as listWork } from "../../../functions/work/list-work.ts";
import { apiGateway } from "../../../lib/runtime/http/lambda.ts";
import type { Route } from "../../../lib/runtime/http/route.ts";
import { json, serve, web } from "../../../lib/runtime/http/serve.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { routes } from "../../../lib/wiring/routes.ts";
import { worldOf } from "../../support/database/world.ts";
import { call } from "../../support/http/events.ts";
import { eventOf, seen } from "../../support/http/http-event.ts";

const route = (path: `/${string}`, method: Route["method"]) =>
  ({
    method,
    path,
    operation: "any",
    summary: "Any.",
    access: "open",
    function: "any",
    answers: {},
  }) satisfies Route;

const handler = apiGateway(
  serve([
    json(route("/text", "GET"), async () => ({ status: 200, body: { é: "é" } })),
    json(route("/bytes", "GET"), async () => ({ status: 206, bytes: Buffer.from([1, 2, 3]) })),
    json(route("/nothing", "GET"), async () => ({ status: 204 })),
    web(route("/foreign", "ANY"), async ({ method }) => new Response(null, { headers: { "x-method": method } })),
  ]),
);
const ask = async (method: string, rawPath: string, routeKey?: string) =>
  seen(await handler(eventOf({ method, rawPath, ...(routeKey === undefined ? {} : { routeKey }) })));

test.each([
  ["/text", undefined],
  ["/text", "HEAD /text"],
  ["/bytes", "HEAD /bytes"],
  ["/nowhere", undefined],
])("HEAD %s is answered as GET is, with the length of the content and without it", async (path, routeKey) => {
  const [get, head] = [await ask("GET", path), await ask("HEAD", path, routeKey)];

  const { "x-trace-id": _get, ...wanted } = get.headers;
  const { "x-trace-id": _head, ...had } = head.headers;
  expect([head.status, head.text]).toEqual([get.status, ""]);
  expect(had).toEqual({ ...wanted, "content-length": String(Buffer.byteLength(get.text)) });
});

test("what has no content tells no length, and a foreign handler sees HEAD itself", async () => {
  expect((await ask("HEAD", "/nothing")).headers).not.toHaveProperty("content-length");
  expect((await ask("HEAD", "/foreign")).headers).toMatchObject({ "x-method": "HEAD" });
});

test("HEAD of work, of its output and of a page of it says what GET says", async () => {
  const world = worldOf(connect());
  const task_id = await world.submit({});
  const head = async (handle: unknown, path: string) =>
    await call(handle, path, { method: "HEAD", params: { task_id: path.split("/")[2] ?? "" } });

  expect((await head(getWork, `/work/${task_id}`)).status).toBe(200);
  expect((await head(getOutput, `/work/${task_id}/output`)).status).toBe(200);
  expect((await head(listWork, "/work")).status).toBe(200);
  expect((await head(listWork, "/work?limit=0")).status).toBe(400);
  expect((await head(getWork, "/work/0198c5f2-7c1e-7000-8000-0123456789ab")).status).toBe(404);
});

test("API Gateway is given HEAD for every GET, with the same authorization", () => {
  const deployed = httpYaml();

  for (const { path } of routes.filter(({ method }) => method === "GET"))
    expect(deployed).toContain(`- httpApi: GET ${path}\n      - httpApi: HEAD ${path}\n`);
  const guarded = (method: string) =>
    Array.from(deployed.matchAll(new RegExp(`HttpApiRoute${method}(\\w+):`, "g"))).map(([, path]) => path);
  expect(guarded("Head")).toEqual(guarded("Get"));
});
