import { afterAll, expect, test, vi } from "vitest";
import { expectConforms } from "../support/http/conform.ts";
import { eventOf, seen } from "../support/http/http-event.ts";
import { startGateway } from "../support/llm/gateway.ts";
import { logLines } from "../support/log-lines.ts";

vi.hoisted(() => {
  // Read when the log is loaded.
  process.env["LOG_LEVEL"] = "info";
});

const { gateway, vendor } = await startGateway();
const { handler } = await import("../../functions/llm/llm-route.ts");
const ada = "arn:aws:iam::123456789012:user/ada";

afterAll(async () => {
  await gateway.stop();
  await vendor.stop();
});

/** Sends a call that ada has signed. */
async function signed(run: typeof handler, method: string, rawPath: string, body?: object) {
  const authorizer = { iam: { userArn: ada, accountId: "123456789012" } };
  const event = eventOf({ method, rawPath, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const requestContext = { ...event.requestContext, authorizer } as unknown as typeof event.requestContext;
  return seen(await run({ ...event, requestContext }));
}

test.each([
  ["POST", "/llm/v1/chat/completions", { model: "ok", messages: [{ role: "user", content: "hi" }] }],
  ["POST", "/llm/v1/messages", { model: "nobody", messages: [] }],
  ["GET", "/llm/v1/models", undefined],
  ["POST", "/llm/route", {}],
])("the log line of %s %s names who signed the call", async (method, path, body) => {
  const lines = logLines();

  await signed(handler, method, path, body);

  lines.stop();
  const told = lines.lines().filter(({ event }) => /answered|refused/.test(event));
  expect(told.map(({ actor }) => actor)).toEqual([ada]);
});

test.each([
  ["GET", "/llm/v1/messages"],
  ["POST", "/llm/v1/messages/batches"],
])("%s %s is refused in Anthropic's words", async (method, path) => {
  const { status, headers, text } = await signed(handler, method, path);

  expect([status, headers]).toEqual([404, { "content-type": "application/json" }]);
  expect(text).toBe(
    `{"type":"error","error":{"type":"not_found_error","message":"There is no ${method} ${path}."},"code":"not_found"}`,
  );
});

test.each([
  ["/llm/v1/files", "/llm/v1/files"],
  ["/", "/"],
  ["", "/"],
])("what else is not there is refused in OpenAI's words: %j", async (path, told) => {
  const { status, text } = await signed(handler, "GET", path);

  expect(status).toBe(404);
  expect(text).toBe(
    `{"error":{"message":"There is no GET ${told}.","type":"invalid_request_error","param":null,"code":"not_found"}}`,
  );
});

test.each([
  ["a UUID", "0198C5F2-7c1e-7000-8000-0123456789ab", /^0198c5f2-7c1e-7000-8000-0123456789ab$/],
  ["nothing", "", /^[0-9a-f-]{36}$/],
  ["no UUID", "mine", /^[0-9a-f-]{36}$/],
])("the trace of an answer is a UUID, where X-Waybill-Trace-Id has %s", async (_what, named, told) => {
  const event = eventOf({ method: "POST", rawPath: "/llm/v1/messages", body: "{}" });

  const { headers } = seen(await handler({ ...event, headers: { "x-waybill-trace-id": named } }));

  expect(headers["x-trace-id"]).toMatch(told);
});

test.each([
  [
    "a number past all floats",
    '{"model":"ok","messages":[],"max_tokens":1e400}',
    "number 1e400 is more than a 64-bit float holds",
  ],
  [
    "a number that a float changes",
    '{"model":"ok","messages":[],"seed":9007199254740993}',
    "number 9007199254740993 is more",
  ],
  ["a name twice", '{"model":"ok","messages":[],"model":"nobody"}', "model is there twice; keep one"],
  ["a hundred thousand levels", `{"messages":${"[".repeat(1e5)}${"]".repeat(1e5)}}`, "nested 100001 levels deep"],
  ["as many objects", `{"messages":${'[{"a":'.repeat(1e5)}1${"}]".repeat(1e5)}}`, "at most 128 are taken"],
])("a body with %s is refused in the vendor's words", async (_what, body, message) => {
  const answer = seen(await handler(eventOf({ method: "POST", rawPath: "/llm/v1/chat/completions", body })));

  expect([answer.status, answer.json.error.code]).toEqual([400, "invalid_json"]);
  expect(answer.json.error.message).toContain(message);
});

test.each([
  ["an unknown parameter", "?unknown=1", 400, "invalid_input"],
  ["a parameter without a value", "?unknown=", 400, "invalid_input"],
])("the list of models refuses %s in OpenAI's words, as its clients read them", async (_what, query, status, code) => {
  const answer = seen(await handler(eventOf({ rawPath: "/llm/v1/models", rawQueryString: query.slice(1) })));

  expect([answer.status, answer.headers["content-type"]]).toEqual([status, "application/json"]);
  expect(answer.json.error).toMatchObject({ type: "invalid_request_error", param: null, code });
  expectConforms("GET", "/llm/v1/models", answer);
});
