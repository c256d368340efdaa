import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { authorizer } from "../../../localstack/functions/authorizer.ts";
import { serveHttpApi } from "../../../localstack/functions/http-api.ts";
import { takeHttpRoutes } from "../../../localstack/functions/http-routes.ts";
import type { Listening } from "../../../localstack/functions/http-server.ts";
import { serveFunctionUrl } from "../../../localstack/functions/llm-stream.ts";
import { LocalFunctions } from "../../../localstack/functions/local-functions.ts";
import { BANNER } from "../../../localstack/functions/own-process.ts";
import type { Service } from "../../../localstack/functions/serverless-service.ts";

const folder = mkdtempSync(join(tmpdir(), "waybill-functions-"));
const said = vi.spyOn(console, "error").mockImplementation(() => {});
let api: Listening;
let functions: LocalFunctions;

const BUNDLES = {
  echo: "async (event, context) => ({ statusCode: 200, body: JSON.stringify({ event, context, left: context.getRemainingTimeInMillis(), env: process.env.OWN, other: process.env.OTHER ?? null }) })",
  other: "async () => ({ statusCode: 200, body: process.env.OTHER })",
  sets: "async () => { process.env.OTHER = 'by itself'; process.exitCode = process.exitCode; return { statusCode: 200, body: process.env.OTHER }; }",
  throws: "async () => { throw new Error('secret of ours') }",
  bakes: "async () => ({ statusCode: 200, cookies: ['a=1', 'b=2'] })",
  length: "async () => ({ statusCode: 200, headers: { 'content-length': '7' }, body: '' })",
  authorize:
    "async ({ identitySource: [key], headers, ...rest }) => { globalThis.asked = (globalThis.asked ?? 0) + 1; if (key === 'Bearer broken') throw new Error('secret of ours'); return { isAuthorized: key !== 'Bearer out', context: { key, asked: globalThis.asked, event: Object.keys(rest).join() } }; }",
  slow: "async () => await new Promise(() => {})",
  broken: "(",
  stream:
    "async (event, out) => { if (event.rawPath === '/fail') throw new Error('no'); const body = globalThis.awslambda.HttpResponseStream.from(out, { statusCode: 200, headers: { 'content-type': 'text/plain' }, cookies: ['a=1', 'b=2'] }); body.write('a'); setTimeout(() => body.end('b'), 50); }",
};

beforeAll(async () => {
  mkdirSync(join(folder, "functions"));
  for (const [name, source] of Object.entries(BUNDLES)) {
    writeFileSync(join(folder, "functions", `${name}.cjs`), `${BANNER}\nmodule.exports = { handler: ${source} };`);
  }
  const service: Service = {
    provider: { region: "eu-central-1", timeout: 5, environment: { OWN: "of all" } },
    custom: { esbuild: { outputFileExtension: ".cjs" } },
    functions: Object.fromEntries(
      [...Object.keys(BUNDLES), "missing"].map((key) => [
        key,
        {
          name: `waybill-dev-${key}`,
          handler: `functions/${key}.handler`,
          events: [{ httpApi: `POST /${key}` }],
          ...(key === "slow" ? { timeout: 0.2 } : {}),
          ...(key === "other" ? { environment: { OTHER: "of one" } } : {}),
        },
      ]),
    ),
  };
  service.functions["echo"]?.events?.push({ httpApi: "*" }, { httpApi: "POST /guarded" });
  service.functions["length"]?.events?.push({ httpApi: "HEAD /length" });
  functions = new LocalFunctions(service, folder);
  const authorize = authorizer(functions, { functionKey: "authorize", help: "Send one." });
  const guarded = (routeKey: string) => ["POST /guarded", "HEAD /guarded"].includes(routeKey);
  api = await serveHttpApi(takeHttpRoutes(service), functions, { port: 0, guarded, authorize });
});

afterAll(async () => {
  await api.stop();
  said.mockRestore();
  rmSync(folder, { recursive: true });
});

const post = async (path: string, body?: string) => await fetch(api.url + path, { method: "POST", body: body ?? null });

test("a function gets its event and the time that it has, and is answered as it says", async () => {
  const answer = await post("/echo?a=1", "hello");

  expect(await answer.json()).toMatchObject({
    event: { routeKey: "POST /echo", rawQueryString: "a=1", body: "hello", isBase64Encoded: false },
    context: { functionName: "waybill-dev-echo", awsRequestId: expect.any(String) },
    left: expect.toSatisfy((ms: number) => ms > 3000 && ms <= 5000),
    env: "of all",
  });
});

const guarded = async (authorization?: string, headers: Record<string, string> = {}) =>
  await fetch(`${api.url}/guarded`, {
    method: "POST",
    body: "secret of the caller",
    headers: authorization === undefined ? headers : { ...headers, authorization },
  });

test("a route with the authorizer gives its function what that has said, which counts for the same header for a while", async () => {
  const first: any = await (await guarded("Bearer one")).json();
  const again = await (await guarded("Bearer one")).json();
  const other = await (await guarded("Bearer two")).json();

  const toldTo = ({ event }: any) => event.requestContext.authorizer.lambda;
  expect(toldTo(first)).toMatchObject({ key: "Bearer one", event: expect.stringContaining("routeKey") });
  expect(toldTo(first).event).not.toContain("body");
  expect([toldTo(again).asked, toldTo(other).asked]).toEqual([toldTo(first).asked, toldTo(first).asked + 1]);
  expect(first.event.body).toBe("secret of the caller");
});

test("who sends no key is told which header to send, and its function hears nothing of it", async () => {
  for (const answer of [await guarded(), await guarded(undefined, { "x-api-key": "Bearer one" }), await guarded("")]) {
    expect([answer.status, answer.headers.get("content-type")]).toEqual([401, "application/problem+json"]);
    expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    expect(await answer.json()).toMatchObject({
      code: "credentials_missing",
      detail: "This call takes a key. Send one.",
    });
  }
});

test.each([
  ["lets nobody in", "Bearer out", 403, "forbidden"],
  ["fails", "Bearer broken", 500, "internal_error"],
] as const)("an authorizer that %s is a problem, and the next caller is served", async (_what, key, status, code) => {
  const answer = await guarded(key);

  expect(answer.status).toBe(status);
  expect(await answer.json()).toMatchObject({ code });
  expect((await guarded("Bearer one")).status).toBe(200);
});

test("a route without the authorizer asks nobody", async () => {
  const { event } = (await (await post("/echo")).json()) as any;

  expect(event.requestContext.authorizer).toBeUndefined();
});

test("what is set for one function, there or by itself while it runs, is not set for another or for this process", async () => {
  expect(await (await post("/other")).text()).toBe("of one");
  expect(await (await post("/sets")).text()).toBe("by itself");

  expect(await (await post("/echo")).json()).toMatchObject({ env: "of all", other: null });
  expect(process.env["OTHER"]).toBeUndefined();
});

test("HEAD is a method of its own and goes to the catch-all, and so does an unknown path", async () => {
  expect(await (await post("/nowhere")).json()).toMatchObject({ event: { routeKey: "$default" } });
  expect((await fetch(`${api.url}/echo`, { method: "HEAD" })).status).toBe(200);
});

test("the answer to HEAD has the length that its function tells, and no content", async () => {
  const answer = await fetch(`${api.url}/length`, { method: "HEAD" });

  expect([answer.headers.get("content-length"), await answer.text()]).toEqual(["7", ""]);
});

test("each cookie that a function gives is a header of its own, whole or streamed", async () => {
  const url = await serveFunctionUrl("stream", () => functions.load("stream"), { timeoutMs: 1000, port: 0 });

  for (const answer of [await post("/bakes"), await fetch(url.url)]) {
    expect(answer.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    await answer.text();
  }
  await url.stop();
});

test.each([
  ["throws", 500, "internal_error"],
  ["broken", 500, "internal_error"],
  ["missing", 500, "internal_error"],
  ["slow", 503, "unavailable"],
] as const)(
  "a function that %s is answered %d as a problem, and the next call is served",
  async (name, status, code) => {
    const answer = await post(`/${name}`);
    const text = await answer.text();

    expect([answer.status, answer.headers.get("content-type")]).toEqual([status, "application/problem+json"]);
    expect(JSON.parse(text)).toMatchObject({ status, code, trace_id: expect.any(String) });
    expect(text).not.toContain("secret of ours");
    expect((await post("/echo")).status).toBe(200);
  },
);

test("a body over 10 MB is refused as a problem, one of 10 MB is not", async () => {
  const most = "x".repeat(10 * 1_048_576);

  expect((await post("/other", most)).status).toBe(200);
  const answer = await post("/other", `${most}x`);
  expect(answer.status).toBe(413);
  expect(await answer.json()).toMatchObject({ code: "body_too_large", detail: expect.stringContaining("over 10 MB") });
});

test("a foreign page is refused before any function sees it, and so is a path that cannot be read", async () => {
  const foreign = await fetch(`${api.url}/echo`, { method: "POST", headers: { origin: "https://evil.example" } });
  const unreadable = await post("/%ZZ");

  expect(await foreign.json()).toMatchObject({ status: foreign.status, code: "foreign_origin" });
  expect(await unreadable.json()).toMatchObject({ status: unreadable.status, code: "bad_request" });
  expect([foreign.status, unreadable.status]).toEqual([403, 400]);
});

test("a call in flight is finished when the server stops, within the time that it is given", async () => {
  const url = await serveFunctionUrl("stream", () => functions.load("stream"), {
    timeoutMs: 1000,
    port: 0,
  });
  const answer = await fetch(url.url);

  const stopped = url.stop(2000);

  expect(await answer.text()).toBe("ab");
  await stopped;
});

test.each([
  ["cannot be loaded", "broken", 500, "internal_error"],
  ["takes longer than it may", "slow", 503, "unavailable"],
] as const)("a function URL whose function %s answers with a problem", async (_what, name, status, code) => {
  const url = await serveFunctionUrl(name, () => functions.load(name), { timeoutMs: 100, port: 0 });

  const answer = await fetch(url.url);

  expect([answer.status, answer.headers.get("content-type")]).toEqual([status, "application/problem+json"]);
  expect(await answer.json()).toMatchObject({ code });
  await url.stop();
});

test("a function URL whose function throws answers 500 as a problem", async () => {
  const url = await serveFunctionUrl("stream", () => functions.load("stream"), {
    timeoutMs: 1000,
    port: 0,
  });

  const answer = await fetch(`${url.url}/fail`);

  expect([answer.status, answer.headers.get("content-type")]).toEqual([500, "application/problem+json"]);
  await url.stop();
});
