import http from "node:http";
import type { AddressInfo } from "node:net";
import OpenAI from "openai";
import { afterAll, beforeEach, expect, test } from "vitest";
import { serveConfiguration } from "../../support/llm/gateway.ts";
import { startVendor } from "../../support/llm/vendor.ts";

// Secrets Manager is played by a few lines of HTTP: the versions of one secret, by their stage.
const versions: Record<string, string> = { AWSCURRENT: "first-key-1111" };
let reads: string[] = [];
const manager = http.createServer((request, response) => {
  let body = "";
  request.on("data", (part: Buffer) => void (body += part.toString()));
  request.on("end", () => {
    const stage = (JSON.parse(body) as { VersionStage?: string }).VersionStage ?? "AWSCURRENT";
    reads.push(stage);
    const SecretString = versions[stage];
    const type = { "content-type": "application/x-amz-json-1.1" };
    if (SecretString === undefined)
      response.writeHead(400, type).end(JSON.stringify({ __type: "ResourceNotFoundException" }));
    else response.writeHead(200, type).end(JSON.stringify({ SecretString }));
  });
});
await new Promise<void>((resolve) => manager.listen(0, "127.0.0.1", resolve));
process.env["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = `http://127.0.0.1:${(manager.address() as AddressInfo).port}`;
const vendor = await startVendor();
const configuration = `providers: { v: { type: openai, base_url: "${vendor.url}/v1", key: "\${env:UNSET_KEY|secret:waybill/vendor}" } }
models: { ok: { provider: v, id: fb-ok, window: 1000, price: { input: 1, output: 1 } } }
chains: {}
`;
const { gateway } = await serveConfiguration(configuration);
const openai = new OpenAI({ baseURL: `${gateway.url}/llm/v1`, apiKey: "caller", maxRetries: 0 });
const ask = async () =>
  await openai.chat.completions.create({ model: "ok", messages: [{ role: "user", content: "hi" }] });
const used = () => vendor.seen.map(({ headers }) => headers.authorization?.replace("Bearer ", ""));

beforeEach(() => {
  vendor.reset();
  reads = [];
});
afterAll(async () => {
  await gateway.stop();
  await vendor.stop();
  manager.close();
  manager.closeAllConnections();
});

test("a key from Secrets Manager is read once and kept", async () => {
  vendor.set({ keys: ["first-key-1111"] });

  await ask();
  await ask();

  expect([used(), reads]).toEqual([["first-key-1111", "first-key-1111"], ["AWSCURRENT"]]);
});

test("a rotated key is read again when the old one is refused, and the call is answered", async () => {
  Object.assign(versions, { AWSPREVIOUS: "first-key-1111", AWSCURRENT: "second-key-2222" });
  vendor.set({ keys: ["second-key-2222"] });

  await ask();

  expect(used()).toEqual(["first-key-1111", "second-key-2222"]);
});

test("a new key that the vendor does not know yet gives way to the one before", async () => {
  Object.assign(versions, { AWSPREVIOUS: "second-key-2222", AWSCURRENT: "third-key-3333" });
  vendor.set({ keys: ["second-key-2222"] });
  await ask();
  Object.assign(versions, { AWSPREVIOUS: "third-key-3333", AWSCURRENT: "second-key-2222" });
  vendor.reset();
  vendor.set({ keys: ["third-key-3333"] });

  await ask();

  expect(used()).toEqual(["second-key-2222", "third-key-3333"]);
});

test("a key that is refused in every version is tried once each, and the caller's own is not blamed", async () => {
  vendor.set({ keys: ["nobody-has-this"] });

  const refused = await ask().catch((error: unknown) => error);

  expect(refused).toMatchObject({ status: 502 });
  expect(vendor.seen).toHaveLength(2);
});
