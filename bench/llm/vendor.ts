// A process of its own for bench/llm/run.ts: a vendor that answers at once, whole or as a stream of sixty tokens.
import http from "node:http";
import type { AddressInfo } from "node:net";

const head = { id: "c1", created: 1, model: "bench" };
const usage = { prompt_tokens: 20, completion_tokens: 60, total_tokens: 80 };
const content = Array.from({ length: 60 }, (_, index) => `word${index} `).join("");
const message = { role: "assistant", content };
const whole = JSON.stringify({
  ...head,
  object: "chat.completion",
  choices: [{ index: 0, message, finish_reason: "stop" }],
  usage,
});
const chunk = (delta: object, finish_reason: string | null) =>
  `data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
const chunks = Array.from({ length: 60 }, (_, index) => chunk({ content: `word${index} ` }, null));
const last = `${chunk({}, "stop")}data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices: [], usage })}\n\ndata: [DONE]\n\n`;

const server = http.createServer((request, response) => {
  let body = "";
  request.on("data", (part: Buffer) => {
    body += part.toString();
  });
  request.on("end", () => {
    if (!body.includes('"stream":true')) {
      response.writeHead(200, { "content-type": "application/json" }).end(whole);
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const one of chunks) response.write(one);
    response.end(last);
  });
});
server.listen(0, "127.0.0.1", () =>
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
);
process.on("disconnect", () => process.exit(0));
