import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, expect, test } from "vitest";
import { serveConfiguration } from "../../support/llm/gateway.ts";

// Answers under HTTP 200 that are none, or half of one: never given as a success.

const chat = (content: string, finish_reason: string | null, more = {}) => ({
  id: "c1",
  choices: [{ index: 0, message: { role: "assistant", content }, finish_reason }],
  ...more,
});
const chunk = (content: string, finish_reason: string | null = null, more = {}) =>
  `data: ${JSON.stringify({ id: "c1", choices: [{ index: 0, delta: { content }, finish_reason }], ...more })}\n\n`;
const broken = { error: { code: 502, message: "the provider went away" } };

const asked: string[] = [];
const vendor = http.createServer((request, response) => {
  let body = "";
  request.on("data", (part: Buffer) => void (body += part.toString()));
  request.on("end", () => {
    const { model, stream } = JSON.parse(body);
    asked.push(model);
    response.on("close", () => clearInterval(timer));
    let timer: NodeJS.Timeout | undefined;
    if (stream) {
      response.writeHead(200, { "content-type": "text/event-stream" });
      if (model === "well") return void response.end(`${chunk("well")}${chunk("", "stop")}data: [DONE]\n\n`);
      const end = model === "error-beside" ? chunk("", "error", broken) : chunk("", "error");
      response.write(chunk("half an ans"));
      // In a piece of its own, so that the first one has been given by then.
      return void setTimeout(() => response.end(`${end}data: [DONE]\n\n`), 50);
    }
    response.writeHead(200, { "content-type": "application/json" });
    if (model === "blanks") {
      timer = setInterval(() => response.write(" "), 20);
      return;
    }
    const half =
      model === "unended"
        ? chat("half an ans", null)
        : chat("half an ans", "error", model === "error-beside" ? broken : {});
    response.end(JSON.stringify(model === "well" ? chat("well", "stop") : half));
  });
});
await new Promise<void>((resolve) => vendor.listen(0, "127.0.0.1", resolve));
const FAULTS = ["unended", "error-beside", "error-alone", "blanks"];
const at = `base_url: "http://127.0.0.1:${(vendor.address() as AddressInfo).port}/v1", local: true`;
const configuration = `providers: { v: { type: openai, ${at} } }
models:
${[...FAULTS, "well"].map((name) => `  ${name}: { provider: v, id: ${name}, window: 1000, price: 0 }`).join("\n")}
chains:
${FAULTS.map((name) => `  x-${name}: { models: [${name}, well], on: { server_error: next } }`).join("\n")}
timeouts: { first_token_ms: 300, total_ms: 10000 }
`;
const { gateway } = await serveConfiguration(configuration);

afterAll(async () => {
  await gateway.stop();
  vendor.closeAllConnections();
  vendor.close();
});

async function ask(model: string, mode: string): Promise<string> {
  asked.length = 0;
  const body = { model, messages: [{ role: "user", content: "go on" }], stream: mode !== "plain" };
  const headers: Record<string, string> = mode === "plain" ? {} : { "x-waybill-stream": mode };
  const url = `${gateway.url}/llm/v1/chat/completions`;
  return await (await fetch(url, { method: "POST", headers, body: JSON.stringify(body) })).text();
}

test.each(FAULTS)("a whole answer that is %s gives way to the next model", async (fault) => {
  const answered = JSON.parse(await ask(`x-${fault}`, "plain"));

  expect(answered.choices?.[0].message.content).toBe("well");
  expect(asked).toEqual([fault, "well"]);
});

test.each(["error-beside", "error-alone"])(
  "a held stream that ends in %s gives way to the next model",
  async (fault) => {
    const text = await ask(`x-${fault}`, "whole");

    expect(text).toContain('"well"');
    expect(text).not.toContain("half an ans");
  },
);

test.each(["error-beside", "error-alone"])(
  "a live stream that ends in %s is told as broken, without [DONE]",
  async (fault) => {
    const text = await ask(`x-${fault}`, "live");

    expect(text).toContain("half an ans");
    expect(text).toMatch(/^data: \{"error":/m);
    expect(text).not.toContain("[DONE]");
  },
);
