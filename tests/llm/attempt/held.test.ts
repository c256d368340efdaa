import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, expect, test } from "vitest";
import { KNOWN } from "../../support/http/owner.ts";
import { serveConfiguration } from "../../support/llm/gateway.ts";

// What is held of an answer until it is whole has a bound; what is given as it comes has none.

const chunk = (content: string, finish_reason: string | null = null) =>
  `data: ${JSON.stringify({ id: "c1", choices: [{ index: 0, delta: { content }, finish_reason }] })}\n\n`;
const end = `${chunk("", "stop")}data: [DONE]\n\n`;
const block = chunk("x".repeat(10_000));
const MEGABYTES = 24;

const vendor = http.createServer((request, response) => {
  let body = "";
  request.on("data", (part: Buffer) => void (body += part.toString()));
  request.on("end", () => void answer(JSON.parse(body).model, response));
});
let asked = 0;
async function answer(model: string, response: http.ServerResponse): Promise<void> {
  asked++;
  if (model === "six" || model === "wide") {
    const embedding = JSON.stringify({
      data: [{ index: 0, embedding: "x".repeat(model === "six" ? 5_900_000 : 6_100_000) }],
    });
    return void response.writeHead(200, { "content-type": "application/json" }).end(embedding);
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  if (model === "short") return void response.end(chunk("short") + end);
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  for (let i = 0; i < MEGABYTES * 100 && !gone.signal.aborted; i++)
    if (!response.write(block)) await once(response, "drain", { signal: gone.signal }).catch(() => {});
  response.end(end);
}
await new Promise<void>((resolve) => vendor.listen(0, "127.0.0.1", resolve));
const configuration = `providers: { v: { type: openai, base_url: "http://127.0.0.1:${(vendor.address() as AddressInfo).port}/v1", local: true } }
models:
  long: { provider: v, id: long, window: 1000, price: 0 }
  short: { provider: v, id: short, window: 1000, price: 0 }
  six: { provider: v, id: six, window: 1000, price: 0, can: [embeddings] }
  wide: { provider: v, id: wide, window: 1000, price: 0, can: [embeddings] }
chains:
  both: { models: [long, short], on: { bad_answer: next } }
`;
const { gateway } = await serveConfiguration(configuration);

afterAll(async () => {
  await gateway.stop();
  vendor.closeAllConnections();
  vendor.close();
});

async function ask(mode: string, model = "both"): Promise<string> {
  const answered = await fetch(`${gateway.url}/llm/v1/chat/completions`, {
    method: "POST",
    headers: { "x-waybill-stream": mode },
    body: JSON.stringify({ model, stream: true, messages: [{ role: "user", content: "go on" }] }),
  });
  return await answered.text();
}

test("an answer that is too long to be held is dropped, and the next model answers", async () => {
  const text = await ask("whole");

  expect(text.startsWith(chunk("short"))).toBe(true);
  expect(text).toMatch(/data: \[DONE\]\n\n$/);
});

test("an answer of any length is given as it comes", async () => {
  const text = await ask("live");

  expect(text.split(block)).toHaveLength(MEGABYTES * 100 + 1);
  expect(text).toMatch(/data: \[DONE\]\n\n$/);
});

test("an answer that is too long is asked for once, though there is nobody else", async () => {
  asked = 0;

  const answered = JSON.parse(await ask("whole", "long")) as { error: { code: string } };

  expect(answered.error.code).toBe("bad_answer");
  expect(asked).toBe(1);
});

test("behind the HTTP API an answer that Lambda cannot carry is an error that says so", async () => {
  const { handler } = await import("../../../functions/llm/llm-route.ts");
  const embed = async (model: string) =>
    await handler({
      rawPath: "/llm/v1/embeddings",
      headers: {},
      body: JSON.stringify({ model, input: "hi" }),
      requestContext: { http: { method: "POST" }, ...KNOWN },
    } as never);

  const carried = await embed("six");
  const tooLarge = await embed("wide");

  expect([carried.statusCode, carried.body?.length]).toEqual([200, expect.any(Number)]);
  expect(tooLarge).toMatchObject({
    statusCode: 413,
    headers: { "content-type": "application/json", "x-waybill-model": "wide", "x-should-retry": "false" },
  });
  expect(JSON.parse(tooLarge.body ?? "")).toMatchObject({ error: { code: "answer_too_large" } });
});
