import Anthropic from "@anthropic-ai/sdk";
import { LLMock } from "@copilotkit/aimock";
import OpenAI from "openai";
import { afterAll, beforeEach, expect, test } from "vitest";
import { chatRequestToMessages } from "../../lib/llm/dialects/chat-to-messages.ts";
import { KNOWN } from "../support/http/owner.ts";
import { serveConfiguration } from "../support/llm/gateway.ts";

// The official clients over vendors that aimock plays, each client against either kind of vendor.

const mock = new LLMock({ port: 0 });
await mock.start();
const configuration = `providers:
  openai: { type: openai, base_url: "${mock.url}/v1", key: "\${env:TEST_KEY}" }
  anthropic: { type: anthropic, base_url: "${mock.url}", key: "\${env:TEST_KEY}" }
models:
  gpt: { provider: openai, id: gpt-5, window: 400000, can: [tools, json_schema, vision] }
  claude: { provider: anthropic, id: claude-sonnet-4-5, window: 200000, can: [tools, json_schema, vision] }
chains:
  default: { models: [claude, gpt] }
`;
process.env["TEST_KEY"] = "test-key-123";
const { gateway } = await serveConfiguration(configuration);
const openai = new OpenAI({ baseURL: `${gateway.url}/llm/v1`, apiKey: "caller", maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: `${gateway.url}/llm`, apiKey: "caller", maxRetries: 0 });

beforeEach(() => {
  mock.clearRequests();
  mock.clearFixtures();
});
afterAll(async () => {
  await gateway.stop();
  await mock.stop();
});

const vendors = ["gpt", "claude"];
const weather = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [
  { type: "function" as const, function: { name: "weather", description: "of a city", parameters: weather } },
];

test.each(vendors)("tool calls come back whole and streamed, and their results go out: %s", async (model) => {
  mock.onMessage("weather", { toolCalls: [{ id: "call_1", name: "weather", arguments: '{"city":"Bern"}' }] });
  const messages = [{ role: "user" as const, content: "weather in Bern?" }];

  const whole = await openai.chat.completions.create({ model, messages, tools });
  const stream = openai.chat.completions.stream({ model, messages, tools });
  const streamed = await stream.finalChatCompletion();

  for (const answer of [whole, streamed]) {
    expect(answer.choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: { tool_calls: [{ type: "function", function: { name: "weather", arguments: '{"city":"Bern"}' } }] },
    });
  }
});

test.each(vendors)("an agent's second turn carries tool calls and results: %s", async (model) => {
  mock.on({}, { content: "It rains." });

  const answer = await openai.chat.completions.create({
    model,
    tools,
    messages: [
      { role: "system", content: "be short" },
      { role: "user", content: "rain?" },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "c1", type: "function", function: { name: "weather", arguments: '{"city":"Bern"}' } }],
      },
      { role: "tool", tool_call_id: "c1", content: "rain" },
    ],
  });

  expect(answer.choices[0]?.message.content).toBe("It rains.");
});

test.each(vendors)("a question about a picture is answered: %s", async (model) => {
  mock.on({}, { content: "a dot" });
  const url = "data:image/png;base64,iVBORw0KGgo=";

  const answer = await openai.chat.completions.create({
    model,
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: "what is it" },
          { type: "image_url", image_url: { url } },
        ],
      },
    ],
  });

  expect(answer.choices[0]?.message.content).toBe("a dot");
});

test("a picture is told in the words of messages, by its bytes or its address", () => {
  const image = (url: string) => ({ type: "image_url" as const, image_url: { url } });
  const messages = [
    { role: "user" as const, content: [image("data:image/png;base64,iVBORw0KGgo="), image("https://x.test/a.png")] },
  ];

  expect(chatRequestToMessages({ messages }, { id: "m" })["messages"]).toEqual([
    {
      role: "user",
      content: [
        { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } },
        { type: "image", source: { type: "url", url: "https://x.test/a.png" } },
      ],
    },
  ]);
});

test("structured output of an OpenAI vendor is asked for as it came", async () => {
  mock.on({}, { content: '{"city":"Bern"}' });

  const answer = await openai.chat.completions.create({
    model: "gpt",
    messages: [{ role: "user", content: "a city" }],
    response_format: { type: "json_schema", json_schema: { name: "place", strict: true, schema: weather } },
  });

  expect(JSON.parse(answer.choices[0]?.message.content ?? "")).toEqual({ city: "Bern" });
});

test.each([false, true])("structured output of an Anthropic vendor comes back as text (stream %s)", async (stream) => {
  mock.on({}, { toolCalls: [{ id: "t1", name: "answer_in_json", arguments: '{"city":"Bern"}' }] });
  const params = {
    model: "claude",
    messages: [{ role: "user" as const, content: "a city" }],
    response_format: { type: "json_schema" as const, json_schema: { name: "place", strict: true, schema: weather } },
  };

  const answer = stream
    ? await openai.chat.completions.stream(params).finalChatCompletion()
    : await openai.chat.completions.create(params);

  expect(answer.choices[0]).toMatchObject({ finish_reason: "stop" });
  expect(JSON.parse(answer.choices[0]?.message.content ?? "")).toEqual({ city: "Bern" });
});

test.each(vendors)("Anthropic's client gets tool calls, whole and streamed: %s", async (model) => {
  mock.onMessage("weather", { toolCalls: [{ id: "call_1", name: "weather", arguments: '{"city":"Bern"}' }] });
  const params = {
    model,
    max_tokens: 100,
    messages: [{ role: "user" as const, content: "weather in Bern?" }],
    tools: [{ name: "weather", input_schema: weather as Anthropic.Tool.InputSchema }],
  };

  const whole = await anthropic.messages.create(params);
  const streamed = await anthropic.messages.stream(params).finalMessage();

  for (const message of [whole, streamed]) {
    expect(message.stop_reason).toBe("tool_use");
    expect(message.content).toContainEqual(
      expect.objectContaining({ type: "tool_use", name: "weather", input: { city: "Bern" } }),
    );
  }
});

test("an error reaches each client as its own kind of error", async () => {
  const refused = await openai.chat.completions
    .create({ model: "ghost", messages: [] })
    .catch((error: unknown) => error);
  const other = await anthropic.messages
    .create({ model: "ghost", max_tokens: 1, messages: [] })
    .catch((error: unknown) => error);

  expect(refused).toBeInstanceOf(OpenAI.NotFoundError);
  expect(other).toBeInstanceOf(Anthropic.NotFoundError);
});

test("behind the HTTP API a stream is answered whole, as an SSE body", async () => {
  mock.on({}, { content: "hello there" });
  const { handler } = await import("../../functions/llm/llm-route.ts");
  const event = {
    rawPath: "/llm/v1/chat/completions",
    headers: {},
    body: JSON.stringify({ model: "gpt", stream: true, messages: [{ role: "user", content: "hi" }] }),
    requestContext: { http: { method: "POST" }, ...KNOWN },
  };

  const answer = await handler(event as never);

  expect(answer.headers?.["content-type"]).toMatch("text/event-stream");
  expect(answer.body).toMatch(/data: \[DONE\]\n\n$/);
  expect(answer.body).toMatch(/^: waybill \{"call_id"/m);
});
