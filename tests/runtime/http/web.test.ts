import { PassThrough, type Writable } from "node:stream";
import { beforeAll, expect, test, vi } from "vitest";
import { functionUrl } from "../../../lib/runtime/http/function-url.ts";
import { apiGateway } from "../../../lib/runtime/http/lambda.ts";
import type { Route } from "../../../lib/runtime/http/route.ts";
import { direct, type Fetch, json, serve, web } from "../../../lib/runtime/http/serve.ts";
import { partsOfRequest, partsOfResponse, requestOf, responseOf } from "../../../lib/runtime/http/web.ts";
import { eventOf } from "../../support/http/http-event.ts";

/** A handler such as foreign protocols bring: it knows the platform's Request and Response and nothing of ours. */
const foreign: Fetch = async (request) => {
  const { searchParams } = new URL(request.url);
  const headers = { "content-type": "application/json", "x-seen": request.headers.get("x-own") ?? "" };
  const body = request.method === "GET" ? null : await request.json();
  return new Response(JSON.stringify({ method: request.method, q: searchParams.get("q"), body }), {
    status: 202,
    headers,
  });
};

const route = {
  method: "POST",
  path: "/foreign",
  operation: "foreign",
  summary: "A foreign protocol.",
  access: "open",
  function: "foreign",
  answers: { 200: { description: "whatever it says" } },
} as const satisfies Route;

const parts = {
  method: "POST",
  origin: "https://api.example",
  path: "/foreign",
  search: "q=1",
  headers: { "content-type": "application/json", "x-own": "seen" },
  body: '{"a":1}',
  signal: new AbortController().signal,
};

/** The events of a handler behind a function URL, as its caller gets them. */
async function stream(handler: unknown): Promise<{ head: unknown; pieces: string[] }> {
  const out = new PassThrough();
  const pieces: string[] = [];
  out.on("data", (piece: Buffer) => pieces.push(piece.toString()));
  const context = { getRemainingTimeInMillis: () => 10_000 };
  const run = handler as (event: unknown, out: Writable, context: unknown) => Promise<void>;
  await run(eventOf({ rawPath: "/foreign", body: "{}" }), out, context);
  return { head: heads.at(-1), pieces };
}

const heads: unknown[] = [];
beforeAll(() => {
  const from = (out: Writable, head: unknown) => {
    heads.push(head);
    return out;
  };
  Object.assign(globalThis, { awslambda: { streamifyResponse: (run: unknown) => run, HttpResponseStream: { from } } });
});

test("a request is the platform's own to whoever treats it so, and its parts to us", async () => {
  const request = requestOf(parts);

  expect([request.method, request.url]).toEqual(["POST", "https://api.example/foreign?q=1"]);
  expect(request.headers.get("X-Own")).toBe("seen");
  expect(await request.json()).toEqual({ a: 1 });
  expect(await partsOfRequest(requestOf(parts))).toEqual(parts);
  const platform = new Request("https://api.example/foreign?q=1", {
    method: "POST",
    headers: parts.headers,
    body: parts.body,
  });
  expect(await partsOfRequest(platform)).toMatchObject({ ...parts, body: Buffer.from(parts.body), signal: {} });
});

test("an answer is the platform's own to whoever treats it so, and its parts to us", async () => {
  const source = { status: 201, headers: { location: "/a" }, body: "made" };

  const response = responseOf(source);
  expect([response.status, response.ok, response.headers.get("location")]).toEqual([201, true, "/a"]);
  expect(await response.text()).toBe("made");
  expect(partsOfResponse(responseOf(source))).toBe(source);

  async function* slowly() {
    yield "one ";
    yield Buffer.from("two");
  }
  expect(await responseOf({ status: 200, headers: {}, body: slowly() }).text()).toBe("one two");
});

test("a foreign handler is mounted beside ours, behind the HTTP API", async () => {
  const own = json({ ...route, path: "/own", operation: "own" }, async () => ({ status: 200, body: { own: true } }));
  const handler = apiGateway(serve([own, web(route, foreign)]));

  const answer = await handler(
    eventOf({ rawPath: "/foreign", rawQueryString: "q=2", body: '{"b":2}', headers: { "X-Own": "yes" } }),
  );

  expect(answer).toMatchObject({ statusCode: 202, headers: { "x-seen": "yes" } });
  expect(JSON.parse(Buffer.from(answer.body ?? "", answer.isBase64Encoded ? "base64" : "utf8").toString())).toEqual({
    method: "POST",
    q: "2",
    body: { b: 2 },
  });
});

test("a foreign handler's stream is given as it comes, behind a function URL", async () => {
  const streaming: Fetch = async () => {
    const body = new ReadableStream({
      start: (controller) => {
        for (const piece of ["a", "b", "c"]) controller.enqueue(new TextEncoder().encode(piece));
        controller.close();
      },
    });
    return new Response(body, { status: 200, headers: { "content-type": "text/event-stream" } });
  };

  const { head, pieces } = await stream(functionUrl(serve([web(route, streaming)])));

  expect(head).toEqual({ statusCode: 200, headers: { "content-type": "text/event-stream" } });
  expect(pieces).toEqual(["a", "b", "c"]);
});

test("cookies come in beside the headers and go out one by one, behind the HTTP API and a function URL", async () => {
  const cookies = ["a=1; Expires=Mon, 30 Nov 2026 00:00:00 GMT", "b=2"];
  const baking: Fetch = async (request) => {
    const response = new Response(request.headers.get("cookie"));
    for (const cookie of cookies) response.headers.append("set-cookie", cookie);
    return response;
  };
  const event = eventOf({ rawPath: "/foreign", body: "{}", cookies: ["sid=x", "theme=dark"] });

  const whole = await apiGateway(serve([web(route, baking)]))(event);
  const { head } = await stream(functionUrl(serve([web(route, baking)])));

  expect(Buffer.from(whole.body ?? "", "base64").toString()).toBe("sid=x; theme=dark");
  for (const given of [whole, head]) {
    expect(given).toMatchObject({ cookies });
    expect(given).not.toHaveProperty("headers.set-cookie");
  }
  const ours = responseOf({ status: 200, headers: {}, cookies, body: "" });
  expect(ours.headers.getSetCookie()).toEqual(cookies);
});

test("what waits for an answer is run once it has been given", async () => {
  const order: string[] = [];
  const waiting: Fetch = async (_request, { waitUntil }) => {
    waitUntil(async () => void order.push("after"));
    async function* body() {
      order.push("given");
      yield "x";
    }
    return responseOf({ status: 200, headers: {}, body: body() });
  };

  await stream(functionUrl(serve([web(route, waiting)])));
  await apiGateway(serve([web(route, waiting)]))(eventOf({ rawPath: "/foreign", body: "{}" }));

  expect(order).toEqual(["given", "after", "given", "after"]);
});

test("a call of ours never makes a Request or a Response of the platform: that would cost each cold start 62 ms", async () => {
  const made = [vi.spyOn(globalThis, "Request"), vi.spyOn(globalThis, "Response")];
  const own = json({ ...route, path: "/own", operation: "own" }, async () => ({ status: 200, body: { own: true } }));
  const handler = serve([own, direct(route, async () => responseOf({ status: 200, headers: {}, body: "theirs" }))]);

  const answers = [
    await apiGateway(handler)(eventOf({ rawPath: "/own", body: "{}" })),
    await apiGateway(handler)(eventOf({ rawPath: "/foreign", body: "{}" })),
    await apiGateway(handler)(eventOf({ rawPath: "/nowhere" })),
  ];
  await stream(functionUrl(handler));

  expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 404]);
  for (const spy of made) {
    expect(spy).not.toHaveBeenCalled();
    spy.mockRestore();
  }
});

test("a foreign handler's request is the platform's own: an instance, to be copied, aborted and cloned", async () => {
  const seen: unknown[] = [];
  const strict: Fetch = async (request) => {
    const copy = new Request(request.clone(), { headers: { "x-own": "of the copy" } });
    seen.push(request instanceof Request, request.signal instanceof AbortSignal, copy.headers.get("x-own"));
    seen.push(await copy.json(), await request.json());
    return Response.json({});
  };
  const handler = serve([web(route, strict)]);
  const given = [true, true, "of the copy", { b: 2 }, { b: 2 }];

  await apiGateway(handler)(eventOf({ rawPath: "/foreign", body: '{"b":2}' }));
  expect(seen.splice(0)).toEqual(given);

  const around = { authorizer: {}, remainingMs: () => 10_000, waitUntil: () => {} };
  await handler(new Request("https://api.example/foreign", { method: "POST", body: '{"b":2}' }), around);
  expect(seen).toEqual(given);
});

test("a caller of a foreign handler that is gone aborts the request's signal", async () => {
  const gone = new AbortController();
  const aborted = Promise.withResolvers<unknown>();
  const waiting: Fetch = async ({ signal }) => {
    signal.addEventListener("abort", () => aborted.resolve(signal.reason));
    gone.abort("left");
    return Response.json(await aborted.promise);
  };
  const around = { authorizer: {}, remainingMs: () => 10_000, waitUntil: () => {} };

  const response = await serve([web(route, waiting)])(requestOf({ ...parts, signal: gone.signal }), around);

  expect(await response.json()).toBe("left");
});
