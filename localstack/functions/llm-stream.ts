import { randomUUID } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { pathToFileURL } from "node:url";
import { answerUnreadable, foreignProblem, isForeign, PROBLEM } from "./api-gateway.ts";

/** A function with response streaming, as `awslambda.streamifyResponse` takes it. */
type Streaming = (event: unknown, out: Writable, context: unknown) => Promise<void>;
type Head = { statusCode: number; headers: Record<string, string> };

export type StreamUrl = { url: string; stop: () => Promise<void> };

/** What Lambda gives to every function with response streaming: here a function is itself, and the head goes out at once. */
export const awslambda = {
  streamifyResponse: (run: Streaming): Streaming => run,
  HttpResponseStream: {
    from: (out: Writable, { statusCode, headers }: Head): Writable => {
      (out as http.ServerResponse).writeHead(statusCode, headers);
      return out;
    },
  },
};

/** Where the function URL is, where that port is free. */
export const LLM_STREAM_PORT = 3003;

/** As serverless.yml gives it. */
const TIMEOUT_MS = 300_000;

/**
 * Loads the function llm-stream, from the project's `root` or as a bundle, and serves its URL, on loopback unless `host` says
 * otherwise: serverless-offline does no such thing, nor does it stream. Rejects where the port is taken.
 */
export async function serveStreamUrl(root: string, port: number, host = "127.0.0.1"): Promise<StreamUrl> {
  Object.assign(globalThis, { awslambda });
  const file = root.endsWith(".cjs") ? root : join(root, "functions/llm/llm-stream.ts");
  const { handler } = (await import(pathToFileURL(file).href)) as { handler: Streaming };
  return await serveStreaming(handler, port, host);
}

/** One event a request, the answer as it is written: as a function URL does. */
async function serveStreaming(handler: Streaming, port: number, host: string): Promise<StreamUrl> {
  const server = http.createServer((request, response) => {
    if (isForeign(request.headers)) {
      response.writeHead(403, { "content-type": PROBLEM }).end(foreignProblem());
      return;
    }
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const started = Date.now();
      const context = {
        awsRequestId: randomUUID(),
        getRemainingTimeInMillis: () => TIMEOUT_MS - (Date.now() - started),
      };
      handler(eventOf(request, Buffer.concat(parts)), response, context).catch((error: unknown) => {
        console.error(error);
        if (!response.headersSent) response.writeHead(502);
        response.end();
      });
    });
  });
  answerUnreadable(server);
  // A call may wait for its first token longer than node's five minutes.
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url, stop };
}

function eventOf(request: http.IncomingMessage, body: Buffer) {
  const url = new URL(request.url ?? "/", "http://local");
  const query = Object.fromEntries(url.searchParams);
  return {
    version: "2.0",
    rawPath: url.pathname,
    rawQueryString: url.search.slice(1),
    headers: request.headers,
    ...(url.search === "" ? {} : { queryStringParameters: query }),
    requestContext: { http: { method: request.method, path: url.pathname } },
    body: body.toString(),
    isBase64Encoded: false,
  };
}
