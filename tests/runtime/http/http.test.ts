import { afterEach, beforeEach, expect, test, vi } from "vitest";
import * as z from "zod";
import type { Route } from "../../../lib/runtime/http/route.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { logLines } from "../../support/log-lines.ts";

process.env["LOG_LEVEL"] = "info";
vi.resetModules();
const { eventOf, http, seen, send } = await import("../../support/http/http-event.ts");
const errors = await import("../../../lib/errors.ts");

const route = {
  method: "POST",
  path: "/things/{id}",
  operation: "putThing",
  summary: "A route with every part.",
  access: "open",
  function: "put-thing",
  params: z.object({ id: z.coerce.number().int().min(1) }),
  query: z.strictObject({ limit: z.coerce.number().int().max(10).optional(), name: z.string().max(5).optional() }),
  headers: z.object({ "idempotency-key": z.string().min(3).optional() }),
  body: z.strictObject({
    text: z.string().min(1).max(20),
    size: z.int().min(0).max(9).default(1),
    kind: z.enum(["a", "b"]).optional(),
    parts: z.array(z.strictObject({ name: z.string() })).optional(),
    free: z.record(z.string(), z.unknown()).optional(),
  }),
  answers: { 200: { description: "fine" } },
} as const satisfies Route;

const echo = http(route, async ({ params, query, headers, body }) => ({
  status: 200,
  body: { params, query, headers, body },
}));
const good = { pathParameters: { id: "1" }, body: '{"text":"hi"}' };
let logged: ReturnType<typeof logLines>;

beforeEach(() => {
  logged = logLines();
});
afterEach(() => logged.stop());

function faults(answer: { json: any }): Record<string, string> {
  return Object.fromEntries(answer.json.errors.map((error: any) => [error.field, error.message]));
}

async function refusal(body: unknown, more: object = {}): Promise<Record<string, string>> {
  const answer = await send(echo, { ...good, ...more, body: typeof body === "string" ? body : JSON.stringify(body) });
  expect([answer.status, answer.headers["content-type"]]).toEqual([400, "application/problem+json"]);
  return faults(answer);
}

test("a call gets its parts parsed, and the answer names its trace", async () => {
  const answer = await send(echo, {
    ...good,
    rawQueryString: "limit=3&name=a%2Bb",
    headers: { "Idempotency-KEY": "abc", traceparent: `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01` },
  });

  expect(answer.json).toEqual({
    params: { id: 1 },
    query: { limit: 3, name: "a+b" },
    headers: { "idempotency-key": "abc" },
    body: { text: "hi", size: 1 },
  });
  expect(answer.headers).toMatchObject({
    "x-trace-id": "abababab-abab-abab-abab-abababababab",
    "content-type": "application/json",
    "cache-control": "no-store",
  });
});

test("every wrong field has one entry that says what to do, in words of JSON", async () => {
  const wrong = { text: "", size: 1.5, kind: "c", parts: [{ name: 1 }, {}], free: [], more: 1 };

  expect(await refusal(wrong, { rawQueryString: "limit=x&other=1", pathParameters: { id: "0" } })).toEqual({
    id: "must be at least 1",
    limit: "must be a number",
    other: "is not a known field",
    text: "must not be empty",
    size: "must be a whole number",
    kind: 'must be one of "a", "b"',
    "parts.0.name": "must be a string, not a number",
    "parts.1.name": "is missing; it must be a string",
    free: "must be an object, not a list",
    more: "is not a known field",
  });
  expect(await refusal({})).toEqual({ text: "is missing; it must be a string" });
  expect(await refusal({ text: "x".repeat(21) })).toEqual({ text: "must have at most 20 characters" });
});

test.each([
  ["[]", "must be an object, not a list"],
  ["null", "must be an object, not null"],
  ['"text"', "must be an object, not a string"],
  ["12", "must be an object, not a number"],
])("a body that is JSON and no object is named itself: %s", async (body, message) => {
  expect(await refusal(body)).toEqual({ body: message });
});

test.each(["", "  \n", "{", '{"text":"a",}', "text=hi", "{'text':'hi'}", "NaN", '{"text":"a"}{"text":"b"}', "\u0000"])(
  "a body that is not JSON is refused: %j",
  async (body) => {
    const answer = await send(echo, { ...good, body });

    expect([answer.status, answer.json.code]).toEqual([400, "invalid_json"]);
  },
);

test.each(["name", "name=", "limit=", "other=", "name=a&limit="])(
  "a parameter without a value is refused, for it would find nothing: %s",
  async (rawQueryString) => {
    const refused = await refusal(JSON.parse(good.body), { rawQueryString });

    expect(Object.values(refused)).toContain("is empty; give it a value or leave it out");
  },
);

test.each([
  ["a NUL", '{"text":"a\\u0000"}', "text"],
  ["a NUL in a key", '{"text":"a","free":{"a\\u0000b":1}}', "free.a\\u0000b"],
  ["half of a pair", '{"text":"\\ud800"}', "text"],
  ["half of a pair deep inside", '{"text":"a","free":{"x":[{"y":"\\udc00"}]}}', "free.x.0.y"],
  ["a number past a float", '{"text":"a","free":{"n":1e400}}', "free.n"],
  ["a name twice", '{"text":"a","text":"a"}', "text"],
  ["a name twice deep inside", '{"text":"a","free":{"x":[{"y":1,"\\u0079":2}]}}', "free.x.0.y"],
  ["__proto__", '{"text":"a","__proto__":{"admin":true}}', "__proto__"],
  ["__proto__ deep inside", '{"text":"a","free":{"__proto__":1}}', "free.__proto__"],
])("a body with %s is refused by name", async (_what, body, field) => {
  expect(Object.keys(await refusal(body))).toEqual([field]);
});

test("what cannot be stored is refused in the path, the query and the headers too", async () => {
  const answer = await send(echo, {
    ...good,
    pathParameters: { id: "1\u0000" },
    rawQueryString: "name=%00",
    headers: { "idempotency-key": "\ud800abc" },
  });

  expect(answer.status).toBe(400);
  expect(Object.keys(faults(answer))).toEqual(["id", "name", "idempotency-key"]);
});

test.each([
  ["limit=1&limit=2", { limit: "is given more than once; give it once" }],
  ["name=a&name=a", { name: "is given more than once; give it once" }],
  ["name=%zz", { name: "has a % that is not part of a percent-encoded UTF-8 character; write % as %25" }],
  ["name=%ff", { name: "has a % that is not part of a percent-encoded UTF-8 character; write % as %25" }],
  ["__proto__=1", { ["__proto__"]: "is a key that is not taken; choose another name" }],
  ["constructor=1", { constructor: "is not a known field" }],
  ["=1", { query: "is not a known field" }],
])("the query %s is refused", async (rawQueryString, expected) => {
  const answer = await send(echo, { ...good, rawQueryString });

  expect(answer.status).toBe(400);
  expect(Object.entries(faults(answer))).toEqual(Object.entries(expected));
});

test("a query is also read where only its parsed form is given", async () => {
  const answer = await send(echo, { ...good, queryStringParameters: { limit: "4" } });

  expect(answer.json.query).toEqual({ limit: 4 });
});

test("a route without a query takes none", async () => {
  const plain = http({ ...route, query: undefined } as unknown as Route, async () => ({ status: 200, body: {} }));

  expect((await send(plain, { ...good, rawQueryString: "debug=1" })).status).toBe(400);
});

test("a body may come in base64, with a byte order mark, and by any content-type", async () => {
  for (const type of [
    undefined,
    "application/json; charset=utf-8",
    "application/x-www-form-urlencoded",
    "text/plain",
  ]) {
    const body = Buffer.from('\uFEFF{"text":"grüß"}').toString("base64");
    const headers = type === undefined ? {} : { "content-type": type };
    const answer = await send(echo, { ...good, body, isBase64Encoded: true, headers });

    expect(answer.json.body.text).toBe("grüß");
  }
});

test("bytes that are not UTF-8 are refused", async () => {
  const body = Buffer.from([123, 34, 0xff, 34, 125]).toString("base64");

  expect((await send(echo, { ...good, body, isBase64Encoded: true })).json.code).toBe("invalid_json");
});

test("a compressed body is refused with what would be taken", async () => {
  const answer = await send(echo, { ...good, headers: { "Content-Encoding": "gzip" } });

  expect([answer.status, answer.json.code, answer.headers["accept-encoding"]]).toEqual([
    415,
    "unsupported_encoding",
    "identity",
  ]);
});

test("a body of 1 MiB is read, one byte more is 413, counted in bytes and in base64 too", async () => {
  const whole = `{"text":"hi","free":{"x":"${"é".repeat(524_000)}"}}`.padEnd(1_048_576 - 524_000);
  expect(Buffer.byteLength(whole)).toBe(1_048_576);

  expect((await send(echo, { ...good, body: whole })).status).toBe(200);
  const over = { ...good, body: `${whole} ` };
  expect((await send(echo, over)).json.code).toBe("body_too_large");
  const base64 = { ...good, body: Buffer.from(over.body).toString("base64"), isBase64Encoded: true };
  expect((await send(echo, base64)).status).toBe(413);
});

test("64 levels are taken, 65 are not, and half a million do no harm", async () => {
  const nested = (levels: number) => `{"text":"a","free":{"x":${"[".repeat(levels - 2)}${"]".repeat(levels - 2)}}}`;

  expect((await send(echo, { ...good, body: nested(64) })).status).toBe(200);
  expect((await send(echo, { ...good, body: nested(65) })).json.code).toBe("too_deep");
  expect((await send(echo, { ...good, body: nested(250_000) })).json.code).toBe("too_deep");
});

test("a thousand wrong fields are answered with the first twenty", async () => {
  const body = JSON.stringify({
    text: "a",
    ...Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`x${i}`, 1])),
  });

  const answer = await send(echo, { ...good, body });

  expect(answer.json.errors).toHaveLength(21);
  expect(answer.text.length).toBeLessThan(3_000);
});

const failing = (error: unknown) =>
  http(route, async () => {
    throw error;
  });

test("an error of the caller keeps its status, code and headers", async () => {
  const error = new errors.CallerError(409, "taken", "It is taken.", { headers: { allow: "GET" } });

  const answer = await send(failing(error), good);

  expect([answer.status, answer.json.code, answer.json.detail, answer.headers["allow"]]).toEqual([
    409,
    "taken",
    "It is taken.",
    "GET",
  ]);
  expect(answer.json).toMatchObject({ type: "urn:waybill:problem:taken", title: "Conflict", status: 409 });
});

const withCode = (code: string, message = "m") => Object.assign(new Error(message), { code });

test.each([
  ["something that does not answer", new errors.Unavailable("the queue is away")],
  ["a lost connection", withCode("CONNECTION_CLOSED")],
  ["a refused connection", withCode("ECONNREFUSED")],
  ["a refused password", withCode("28P01")],
  ["a shutdown", withCode("57P01")],
  ["a statement over its time", withCode("57014")],
  ["a deadlock", withCode("40P01")],
  ["a row that is somebody's", withCode("55P03")],
  ["a full disk", withCode("53100")],
  ["a server that takes no writes", withCode("25006")],
  ["a database that is not migrated", withCode("42P01")],
])("%s is 503 with Retry-After", async (_what, error) => {
  const answer = await send(failing(error), good);

  expect([answer.status, answer.json.code, answer.headers["retry-after"]]).toEqual([503, "unavailable", "1"]);
});

test.each([
  new Error("secret words"),
  new errors.ConfigError("secret words"),
  "secret words",
  undefined,
  withCode("23505", "secret words"),
  withCode("EPERM", "secret words"),
  withCode("E2BIG", "secret words"),
  withCode("P0001", "secret words"),
  // Faults of our own statements, which the same call would meet again.
  withCode("42601", "secret words"),
  withCode("42703", "secret words"),
  withCode("42883", "secret words"),
  withCode("42501", "secret words"),
  withCode("XX000", "secret words"),
])("any other error is 500 and keeps its words to itself: %s", async (error) => {
  const answer = await send(failing(error), good);

  expect([answer.status, answer.json.code]).toEqual([500, "internal_error"]);
  expect(answer.text).not.toContain("secret words");
});

test("neither the answer nor the log has what a database error quotes: query, parameters, values", async () => {
  const db = connect();
  const error = await db`select ${"s3cret-value"}::uuid, ${"s3cret-too"}::text`.catch((caught: unknown) => caught);
  await db.end();
  expect(JSON.stringify({ message: (error as Error).message, ...(error as object) })).toContain("s3cret-value");

  const answer = await send(failing(error), good);

  expect(answer.status).toBe(500);
  expect(`${answer.text}${logged.text()}`).not.toContain("s3cret");
  expect(logged.lines().at(-1)).toMatchObject({ level: "error", event: "request failed", error: { code: "22P02" } });
});

test("a refused call is one line of log without the values that it brought", async () => {
  await send(echo, { ...good, body: '{"text":5,"s3cret":"s3cret-value"}' });
  await send(echo, { ...good, body: "s3cret-value" });

  expect(logged.text()).not.toContain("s3cret-value");
  expect(logged.lines()).toHaveLength(2);
  expect(logged.lines()[0]).toMatchObject({
    event: "request refused",
    operation: "putThing",
    status: 400,
    code: "invalid_input",
    fields: ["text", "s3cret"],
  });
});

test("every line about a call has its trace", async () => {
  const noisy = http(route, async ({ log }) => {
    log.info("thing done");
    return { status: 200, body: {} };
  });

  const answer = await send(noisy, good);

  expect(logged.lines().map(({ event, trace_id }) => [event, trace_id])).toEqual([
    ["thing done", answer.headers["x-trace-id"]],
    ["request answered", answer.headers["x-trace-id"]],
  ]);
});

test("what a handler tells of its call is on the line that ends it, whichever that is", async () => {
  const telling = http(route, async ({ tell }) => {
    tell({ thing_id: "t1" });
    throw new errors.CallerError(409, "busy", "Not now.");
  });
  const answering = http(route, async ({ tell }) => {
    tell({ thing_id: "t2" });
    return { status: 200, body: {} };
  });

  await send(telling, good);
  await send(answering, good);

  expect(logged.lines()).toMatchObject([
    { event: "request refused", thing_id: "t1", status: 409 },
    { event: "request answered", thing_id: "t2", status: 200 },
  ]);
});

test("a call that is not done in its function's time is answered before Lambda ends it", async () => {
  const stuck = http(route, () => new Promise<never>(() => {}));
  const context = { getRemainingTimeInMillis: () => 500 } as Parameters<typeof stuck>[1];

  const answer = seen(await stuck(eventOf(good), context));

  expect([answer.status, answer.json.code]).toEqual([503, "unavailable"]);
});

test("the time that a call has left runs out", async () => {
  const left: number[] = [];
  const slow = http(route, async ({ remainingMs }) => {
    left.push(remainingMs());
    await new Promise((resolve) => setTimeout(resolve, 20));
    left.push(remainingMs());
    return { status: 200, body: {} };
  });

  await send(slow, good);

  expect(left[0]).toBeGreaterThan(29_000);
  expect((left[0] ?? 0) - (left[1] ?? 0)).toBeGreaterThan(15);
});

test("a repeatable call keeps its id when it is run again; others are not run again", async () => {
  for (const [repeatable, expected] of [
    [true, 2],
    [false, 1],
  ] as const) {
    const ids: string[] = [];
    const flaky = http({ ...route, repeatable }, async ({ callId }) => {
      ids.push(callId);
      if (ids.length === 1) throw withCode("CONNECTION_CLOSED");
      return { status: 200, body: {} };
    });

    const answer = await send(flaky, good);

    expect([answer.status, ids.length, new Set(ids).size]).toEqual([expected === 2 ? 200 : 503, expected, 1]);
  }
});

test("bytes are answered as they are", async () => {
  const bytes = Buffer.from([0, 255, 10]);
  const file = http(route, async () => ({ status: 200, bytes, headers: { "content-type": "text/plain" } }));

  const answer = await file(eventOf(good));

  expect(answer).toMatchObject({ isBase64Encoded: true, body: bytes.toString("base64") });
  expect(answer.headers).toMatchObject({ "content-type": "text/plain", "x-content-type-options": "nosniff" });
});

test("an answer that Lambda could not carry is a problem that says so", async () => {
  const huge = http(route, async () => ({ status: 200, body: { text: '"'.repeat(2_500_000) } }));

  expect((await send(huge, good)).json.code).toBe("answer_too_large");
});

test("an answer that has no JSON form is a fault of ours", async () => {
  const odd = http(route, async () => ({ status: 200, body: { n: 1n } }));

  expect((await send(odd, good)).status).toBe(500);
});

const { apiGateway } = await import("../../../lib/runtime/http/lambda.ts");
const { direct, serve, web } = await import("../../../lib/runtime/http/serve.ts");
const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const trace_id = "0af76519-16cd-43dd-8448-eb211c80319c";
const event = eventOf({ rawPath: "/things/1", body: "{}", headers: { traceparent } });

test("a foreign handler's call is a line of log, with its trace; one of a handler that logs itself is none", async () => {
  const fetch = async () => new Response(null, { status: 202 });

  await apiGateway(serve([web(route, fetch)]))(event);
  await apiGateway(serve([direct(route, fetch)]))(event);

  expect(logged.lines()).toMatchObject([
    { event: "request answered", operation: "putThing", status: 202, duration_ms: expect.any(Number), trace_id },
  ]);
});

test("what a foreign handler throws, at once or later, is a problem and a line of log", async () => {
  const atOnce = () => {
    throw new Error("s3cret");
  };
  const later = async () => await Promise.reject(new errors.CallerError(409, "busy", "Not now."));

  const failed = seen(await apiGateway(serve([web(route, atOnce)]))(event));
  const refused = seen(await apiGateway(serve([web(route, later)]))(event));

  expect(failed.json).toMatchObject({ status: 500, code: "internal_error", trace_id });
  expect(failed.text).not.toContain("s3cret");
  expect(refused.json).toMatchObject({ status: 409, code: "busy", trace_id });
  expect(logged.lines()).toMatchObject([
    { event: "request failed", operation: "putThing", status: 500, duration_ms: expect.any(Number), trace_id },
    { event: "request refused", operation: "putThing", status: 409, code: "busy", trace_id },
  ]);
});

test("a foreign handler has its function's time until its Response; what that streams may take longer", async () => {
  const stuck = web(route, () => new Promise<never>(() => {}));
  async function* slowly() {
    await new Promise((resolve) => setTimeout(resolve, 100));
    yield Buffer.from("late");
  }
  const streaming = web(route, async () => new Response(ReadableStream.from(slowly())));
  const context = { getRemainingTimeInMillis: () => 350 } as Parameters<ReturnType<typeof apiGateway>>[1];

  const late = seen(await apiGateway(serve([stuck]))(event, context));
  const streamed = seen(await apiGateway(serve([streaming]))(event, context));

  expect([late.status, late.json.code]).toEqual([503, "unavailable"]);
  expect([streamed.status, streamed.text]).toEqual([200, "late"]);
});
