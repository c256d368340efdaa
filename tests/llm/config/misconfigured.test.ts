import { rmSync, writeFileSync } from "node:fs";
import OpenAI from "openai";
import { afterAll, expect, test } from "vitest";
import { serveConfiguration } from "../../support/llm/gateway.ts";
import { startVendor } from "../../support/llm/vendor.ts";

const vendor = await startVendor();
const configured = (provider: string) => `providers: { v: { type: openai, base_url: "${vendor.url}/v1", ${provider} } }
models: { ok: { provider: v, id: fb-ok, window: 1000, price: { input: 1, output: 1 } } }
chains: {}
`;
const { gateway, path } = await serveConfiguration(configured('key: "${env:NOBODY_SET_THIS}"'));

afterAll(async () => {
  await gateway.stop();
  await vendor.stop();
  rmSync(path);
});

const ask = async () => {
  const body = JSON.stringify({ model: "ok", messages: [{ role: "user", content: "hi" }] });
  const answer = await fetch(`${gateway.url}/llm/v1/chat/completions`, { method: "POST", body });
  return { status: answer.status, body: (await answer.json()) as { error?: { code: string } } };
};

test("calls are refused while a key cannot be resolved, and answered once the file is mended", async () => {
  const refused = await ask();
  const listed = await new OpenAI({ baseURL: `${gateway.url}/llm/v1`, apiKey: "x", maxRetries: 0 }).models
    .list()
    .catch((error: unknown) => error);
  const explained = await fetch(`${gateway.url}/llm/route`, { method: "POST", body: "{}" });
  writeFileSync(path, configured("local: true"));
  const answered = await ask();

  expect([refused.status, refused.body.error?.code]).toEqual([503, "misconfigured"]);
  expect(listed).toMatchObject({ status: 503, code: "misconfigured", type: "server_error" });
  expect([explained.status, explained.headers.get("content-type")]).toEqual([503, "application/problem+json"]);
  const problem = await explained.text();
  expect(JSON.parse(problem)).toMatchObject({ status: 503, code: "misconfigured" });
  expect(problem).not.toContain("NOBODY_SET_THIS");
  expect(JSON.stringify(refused.body)).not.toContain("NOBODY_SET_THIS");
  expect(answered.status).toBe(200);
  expect(vendor.seen).toHaveLength(1);
});
