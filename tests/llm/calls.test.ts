import { afterAll, expect, test, vi } from "vitest";
import { eventOf, seen } from "../support/http/http-event.ts";
import { startGateway } from "../support/llm/gateway.ts";
import { logLines } from "../support/log-lines.ts";

vi.hoisted(() => {
  // Read when the log is loaded.
  process.env["LOG_LEVEL"] = "info";
});

const { gateway, vendor } = await startGateway();
const { handler } = await import("../../functions/llm/llm-route.ts");
const { handler: getOpenApi } = await import("../../functions/system/get-openapi.ts");
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

test("so does that of the OpenAPI document", async () => {
  const lines = logLines();

  await signed(getOpenApi, "GET", "/openapi.json");

  lines.stop();
  expect(lines.lines()).toMatchObject([{ event: "request answered", actor: ada }]);
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

test("what else is not there is refused in OpenAI's words", async () => {
  const { status, text } = await signed(handler, "GET", "/llm/v1/files");

  expect(status).toBe(404);
  expect(text).toBe(
    '{"error":{"message":"There is no GET /llm/v1/files.","type":"invalid_request_error","param":null,"code":"not_found"}}',
  );
});
