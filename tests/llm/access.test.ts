import Anthropic from "@anthropic-ai/sdk";
import { LLMock } from "@copilotkit/aimock";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { DEFAULT_TEAM, system } from "../../lib/access/actor.ts";
import { createKey } from "../../lib/access/keys/keys.ts";
import { CreateKey } from "../../lib/access/keys/schema.ts";
import { putMember } from "../../lib/access/members/members.ts";
import { uuidv7 } from "../../lib/runtime/ids.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { serveConfiguration } from "../support/llm/gateway.ts";

// The official clients at the streaming URL, with nothing but a key of ours and the address.

const db = connect();
const mock = new LLMock({ port: 0 });
await mock.start();
process.env["TEST_KEY"] = "vendors-key";
const { gateway } = await serveConfiguration(`providers:
  openai: { type: openai, base_url: "${mock.url}/v1", key: "\${env:TEST_KEY}" }
models:
  gpt: { provider: openai, id: gpt-5, window: 400000 }
chains:
  default: { models: [gpt] }
`);
const keys: Record<string, string> = { nobodys: `wb_${"0".repeat(12)}_${"0".repeat(43)}` };

async function keyOf(name: string, wish: object): Promise<void> {
  const asked = CreateKey.parse({ name, kind: "service", ...wish });
  keys[name] = (await createKey(db, system("test", DEFAULT_TEAM), { ...asked, keyId: uuidv7() })).key;
}

beforeAll(async () => {
  await keyOf("agents", { kind: "agent", agent: "code" });
  await keyOf("service", {});
  await keyOf("infra", { kind: "agent", agent: "infra" });
  for (const role of ["member", "admin"] as const) {
    await db.begin(async (tx) => await putMember(tx, system("test", DEFAULT_TEAM), role, { role }));
    await keyOf(role, { kind: "user", user: role, role, scopes: ["llm:use"] });
  }
  await keyOf("viewer", { role: "viewer" });
  await keyOf("reader", { scopes: ["work:read"] });
  mock.onMessage("hello", { content: "Hello there." });
});
afterAll(async () => {
  await gateway.stop();
  await mock.stop();
});

const openai = (name: string) =>
  new OpenAI({ baseURL: `${gateway.url}/llm/v1`, apiKey: keys[name] ?? "", maxRetries: 0 });
const anthropic = (name: string) =>
  new Anthropic({ baseURL: `${gateway.url}/llm`, apiKey: keys[name] ?? "", maxRetries: 0 });
const messages = [{ role: "user" as const, content: "hello" }];
const said = { model: "default", messages };

test.each(["member", "agents"])("by the key of %s both clients are answered, whole and streamed", async (name) => {
  const whole = await openai(name).chat.completions.create(said);
  expect(whole.choices[0]?.message.content).toBe("Hello there.");
  const streamed = await openai(name).chat.completions.stream(said).finalChatCompletion();
  expect(streamed.choices[0]?.message.content).toBe("Hello there.");
  const message = await anthropic(name).messages.create({ ...said, max_tokens: 100 });
  expect(message.content).toMatchObject([{ type: "text", text: "Hello there." }]);
  expect((await openai(name).models.list()).data.map(({ id }) => id)).toContain("default");
});

const BY_HEADER = { headers: { "x-waybill-agent": "infra" } };

test.each(["service", "admin", "infra"])("the key of %s speaks for the agent infra", async (name) => {
  const answer = await openai(name).chat.completions.create(said, BY_HEADER);

  expect(answer.choices[0]?.message.content).toBe("Hello there.");
});

test.each([
  ["agents", "other_agent"],
  ["member", "role_too_low"],
])("the key of %s does not, by header or body, and that is kept: %s", async (name, code) => {
  const refused = async (more: object, options = {}) =>
    await openai(name)
      .chat.completions.create({ ...said, ...more }, options)
      .catch((error: unknown) => error);
  const told = { status: 403, code, type: "invalid_request_error" };

  expect(await refused({}, BY_HEADER)).toMatchObject(told);
  expect(await refused({ waybill: { agent: "infra" } })).toMatchObject(told);
  await vi.waitUntil(
    async () => (await db`select from audit_events where action = 'access.refused' and reason = ${code}`).length > 0,
  );
});

test.each([
  ["nobodys", 401, "key_unknown"],
  ["viewer", 403, "role_too_low"],
  ["reader", 403, "scope_missing"],
])("the key of %s is refused in the clients' own words: %i %s", async (name, status, code) => {
  const [AuthenticationError, AnthropicsError] =
    status === 401
      ? [OpenAI.AuthenticationError, Anthropic.AuthenticationError]
      : [OpenAI.PermissionDeniedError, Anthropic.PermissionDeniedError];

  const chat = await openai(name)
    .chat.completions.create(said)
    .catch((error: unknown) => error);
  expect(chat).toBeInstanceOf(AuthenticationError);
  expect(chat).toMatchObject({ status, code, type: "invalid_request_error" });
  const message = await anthropic(name)
    .messages.create({ ...said, max_tokens: 100 })
    .catch((error: unknown) => error);
  expect(message).toBeInstanceOf(AnthropicsError);
  const type = status === 401 ? "authentication_error" : "permission_error";
  expect(message).toMatchObject({ status, error: { type: "error", error: { type }, code } });
  const listed = await openai(name)
    .models.list()
    .catch((error: unknown) => error);
  expect(listed).toMatchObject({ status, code });
});
