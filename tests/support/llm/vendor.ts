import http from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { ANSWER, chatVoice, messagesVoice, pour, streamAnswer, USAGE } from "./vendor-stream.ts";

/** A vendor over a real socket that misbehaves on order: the model's id names the fault. Speaks chat completions and messages. */

export type Seen = {
  t: number;
  model: string;
  path: string;
  headers: http.IncomingHttpHeaders;
  body: any;
  /** Hung up on before the answer was whole. */
  aborted: boolean;
  /** What had left for the gateway when the connection ended. */
  sentBytes: number;
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
  keys: string[];
};

export async function startVendor(): Promise<Vendor> {
  const seen: Seen[] = [];
  const settings: Settings = {
    slowMs: 3000,
    retryAfter: "1",
    retryAfterMs: "",
    downUntil: 0,
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
        sentBytes: 0,
      };
      seen.push(entry);
      const { socket } = request;
      const before = socket.bytesWritten;
      response.on("close", () => {
        entry.aborted = !response.writableFinished;
        entry.sentBytes = socket.bytesWritten - socket.writableLength - before;
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
    case "echo":
      return fail(
        400,
        "invalid_request_error",
        {},
        `${key} cannot read ${JSON.stringify(body)} with ${JSON.stringify(headers)}`,
      );
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
    case "huge":
      response.writeHead(200, { "content-type": "application/json" });
      await pour(response, 200);
      return response.end();
    case "truncated":
      return response.writeHead(200, { "content-type": "application/json" }).end('{"choices": [{"mess');
  }
  if (body.stream !== true) return plain(anthropic, model, response);
  const voice = anthropic ? messagesVoice(model) : chatVoice(model, body.stream_options?.include_usage === true);
  await streamAnswer(kind, voice, settings.slowMs, response);
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
