import http from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** A vendor over a real socket that misbehaves on order: the model's id names the fault. Speaks chat completions and messages. */

export type Seen = {
  t: number;
  model: string;
  path: string;
  headers: http.IncomingHttpHeaders;
  body: any;
  aborted: boolean;
};

export type Vendor = {
  url: string;
  seen: Seen[];
  /** Requests for a model, in order. */
  of: (model: string) => Seen[];
  reset: () => void;
  stop: () => Promise<void>;
  set: (settings: Partial<Settings>) => void;
};

type Settings = {
  slowMs: number;
  retryAfter: string;
  retryAfterMs: string;
  downUntil: number;
  silentMs: number;
  keys: string[];
};

/** Sixty words: an answer is whole when it is exactly this. */
export const WORDS = Array.from({ length: 60 }, (_, index) => `word${index}`);
export const ANSWER = WORDS.join(" ");
export const USAGE = { prompt_tokens: 20, completion_tokens: 60, total_tokens: 80 };

export async function startVendor(): Promise<Vendor> {
  const seen: Seen[] = [];
  const settings: Settings = {
    slowMs: 3000,
    retryAfter: "1",
    retryAfterMs: "",
    downUntil: 0,
    silentMs: 20_000,
    keys: [],
  };
  const initial = { ...settings };
  const server = http.createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(parts).toString() || "{}");
      const entry: Seen = {
        t: Date.now(),
        model: body.model,
        path: request.url ?? "",
        headers: request.headers,
        body,
        aborted: false,
      };
      seen.push(entry);
      response.on("close", () => {
        entry.aborted = !response.writableFinished;
      });
      const count = seen.filter(({ model }) => model === body.model).length;
      void misbehave(entry, count, settings, request.socket, response).catch(() => {});
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    of: (model) => seen.filter((entry) => entry.model === model),
    reset: () => {
      seen.length = 0;
      Object.assign(settings, initial);
    },
    set: (more) => void Object.assign(settings, more),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function misbehave(
  { body, model, path, headers }: Seen,
  count: number,
  settings: Settings,
  socket: Socket,
  response: http.ServerResponse,
) {
  const anthropic = path.endsWith("/messages");
  const fail = (status: number, code: string, more: Record<string, string> = {}, message = `${code} happened`) => {
    const error = anthropic
      ? { type: "error", error: { type: code, message } }
      : { error: { message, type: code, code } };
    response.writeHead(status, { "content-type": "application/json", ...more }).end(JSON.stringify(error));
  };
  const key = headers.authorization?.replace("Bearer ", "") ?? String(headers["x-api-key"]);
  if (settings.keys.length > 0 && !settings.keys.includes(key))
    return fail(401, "authentication_error", {}, `Incorrect API key provided: ${key}`);
  if (path.endsWith("/embeddings")) {
    const data = [body.input]
      .flat()
      .map((_text: string, index: number) => ({ object: "embedding", index, embedding: [0.1, 0.2, 0.3] }));
    return response
      .writeHead(200, { "content-type": "application/json" })
      .end(JSON.stringify({ object: "list", model, data, usage: { prompt_tokens: 3, total_tokens: 3 } }));
  }
  const kind = model.replace(/^fb-/, "");
  const first = count === 1;
  const retry: Record<string, string> = {
    ...(settings.retryAfter === "" ? {} : { "retry-after": settings.retryAfter }),
    ...(settings.retryAfterMs === "" ? {} : { "retry-after-ms": settings.retryAfterMs }),
  };
  switch (kind) {
    case "429-once":
      if (first) return fail(429, "rate_limit_error", retry);
      break;
    case "429":
      return fail(429, "rate_limit_error");
    case "500-once":
      if (first) return fail(500, "server_error");
      break;
    case "503":
      return fail(503, "overloaded");
    case "529":
      return fail(529, "overloaded_error");
    case "reset-once":
      if (first) return socket.resetAndDestroy();
      break;
    case "reset":
      return socket.resetAndDestroy();
    case "silent":
      return;
    case "context":
      return fail(400, "context_length_exceeded", {}, "maximum context length is 8192 tokens");
    case "policy":
      return fail(400, "content_policy_violation");
    case "bad":
      return fail(400, "invalid_request_error", {}, "temperature must be a number");
    case "401":
      return fail(401, "authentication_error", {}, `Incorrect API key provided: ${key}`);
    case "quota":
      return fail(429, "insufficient_quota");
    case "gone":
      return fail(404, "model_not_found");
    case "flap":
      if (Date.now() < settings.downUntil) return fail(503, "overloaded");
      break;
    case "html":
      return response.writeHead(200, { "content-type": "text/html" }).end("<html>hello</html>");
    case "huge": {
      response.writeHead(200, { "content-type": "application/json" });
      const block = "x".repeat(1_000_000);
      // A vendor that never looks whether anybody listens.
      for (let i = 0; i < 40; i++) response.write(block);
      return response.end();
    }
    case "truncated":
      return response.writeHead(200, { "content-type": "application/json" }).end('{"choices": [{"mess');
  }
  if (body.stream !== true) return plain(anthropic, model, response);
  await (anthropic ? messagesStream : chatStream)(kind, model, settings, body, response);
}

function plain(anthropic: boolean, model: string, response: http.ServerResponse) {
  const answer = anthropic
    ? {
        id: "msg_1",
        type: "message",
        role: "assistant",
        model,
        content: [{ type: "text", text: ANSWER }],
        stop_reason: "end_turn",
        stop_sequence: null,
        usage: { input_tokens: 20, output_tokens: 60 },
      }
    : {
        id: "c1",
        object: "chat.completion",
        created: 1,
        model,
        choices: [{ index: 0, message: { role: "assistant", content: ANSWER }, finish_reason: "stop" }],
        usage: USAGE,
      };
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
}

async function chatStream(kind: string, model: string, settings: Settings, body: any, response: http.ServerResponse) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.flushHeaders();
  const say = (delta: object, finish_reason: string | null = null) =>
    response.write(
      `data: ${JSON.stringify({ id: "c1", object: "chat.completion.chunk", created: 1, model, choices: [{ index: 0, delta, finish_reason }] })}\n\n`,
    );
  say({ role: "assistant", content: "" });
  if (kind === "slow-first") await sleep(settings.slowMs);
  for (const [index, word] of WORDS.entries()) {
    if (response.destroyed) return;
    if (kind === "cut" && index === 40) {
      await sleep(20);
      return void response.socket?.destroy();
    }
    if (kind === "cut-clean" && index === 40) return void response.end();
    if (kind === "cut-token" && index === 40) {
      response.write('data: {"id":"c1","choices":[{"delta":{"content":"wo');
      await sleep(20);
      return void response.socket?.destroy();
    }
    if (kind === "stall" && index === 20) return;
    // What went before is on its way by then: the fault comes in the middle of an answer that has begun.
    if (index === 10 && (kind === "garbage" || kind === "error-inside")) await sleep(20);
    if (kind === "garbage" && index === 10) response.write('data: {"broken": \n\n');
    else if (kind === "error-inside" && index === 10) {
      response.write(`data: ${JSON.stringify({ error: { message: "overloaded", type: "overloaded_error" } })}\n\n`);
      return void response.end();
    } else if (kind === "error-first" && index === 0) {
      response.write(`data: ${JSON.stringify({ error: { message: "overloaded", type: "overloaded_error" } })}\n\n`);
      return void response.end();
    } else say({ content: index === 0 ? word : ` ${word}` });
    if (kind === "drip" || kind === "endless") await sleep(kind === "drip" ? 20 : 100);
  }
  say({}, "stop");
  if (body.stream_options?.include_usage)
    response.write(
      `data: ${JSON.stringify({ id: "c1", object: "chat.completion.chunk", created: 1, model, choices: [], usage: USAGE })}\n\n`,
    );
  if (kind === "no-done-open") return;
  if (kind !== "no-done") response.write("data: [DONE]\n\n");
  response.end();
}

async function messagesStream(
  kind: string,
  model: string,
  _settings: Settings,
  _body: any,
  response: http.ServerResponse,
) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const say = (event: any) => response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  say({
    type: "message_start",
    message: {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: 20, output_tokens: 1 },
    },
  });
  say({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } });
  say({ type: "ping" });
  for (const [index, word] of WORDS.entries()) {
    if (kind === "error-first" || (kind === "error-inside" && index === 10)) {
      say({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } });
      return void response.end();
    }
    if (kind === "cut" && index === 40) {
      await sleep(20);
      return void response.socket?.destroy();
    }
    say({
      type: "content_block_delta",
      index: 0,
      delta: { type: "text_delta", text: index === 0 ? word : ` ${word}` },
    });
  }
  say({ type: "content_block_stop", index: 0 });
  say({ type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 60 } });
  say({ type: "message_stop" });
  response.end();
}
