// The one HTTP server of the local stack: the HTTP API (http-api.ts) and function URLs (llm-stream.ts) are what it serves.
import { randomUUID } from "node:crypto";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CallerError } from "../../lib/errors.ts";
import { corsSettings } from "../../lib/runtime/http/cors.ts";
import { PROBLEM, problemOf } from "../../lib/runtime/http/problem.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { within } from "../../lib/time.ts";
import { foreignProblem, isForeign } from "./foreign-pages.ts";
import { answerUnreadable, hostFault } from "./unreadable.ts";

/** API Gateway takes no larger body. */
const MAX_BODY_BYTES = 10 * 1_048_576;

/** Writes the answer to a request whose body is here. What it throws is answered as a problem. */
export type Serve = (request: IncomingMessage, body: Buffer, response: ServerResponse) => Promise<void>;

/** A server that listens. Stopping gives the calls in flight `drainMs` (0) milliseconds, and then ends their connections. */
export type Listening = { url: string; stop: (drainMs?: number) => Promise<void> };

/**
 * Serves HTTP on `port` (0: any free one) of `host`. Foreign pages, bodies over 10 MB, what is no HTTP and what `serve` throws are
 * answered as application/problem+json. Rejects where the port is taken (EADDRINUSE).
 */
export async function listen(serve: Serve, port: number, host = "127.0.0.1"): Promise<Listening> {
  const { origins = [] } = readSettings(corsSettings);
  const server = http.createServer({ requireHostHeader: false }, (request, response) => {
    receive(serve, origins, request, response).catch((error: unknown) => fail(response, error));
  });
  answerUnreadable(server);
  // The bytes of the headers are bounded, not their number: Node would refuse the thousandth in the words for 16 KiB.
  server.maxHeadersCount = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(port, host, resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async (drainMs = 0) => {
      const closed = new Promise((resolve) => server.close(resolve));
      if (drainMs > 0) await within(drainMs, closed, () => undefined);
      server.closeAllConnections();
      await closed;
    },
  };
}

async function receive(
  serve: Serve,
  origins: readonly string[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const fault = hostFault(request);
  if (fault !== undefined) throw fault;
  if (isForeign(request.headers, origins)) return refuse(response, 403, foreignProblem());
  const body = await bodyOf(request).catch(() => "caller gone" as const);
  if (body === "caller gone") return;
  if (body === undefined) throw new CallerError(413, "body_too_large", "The body is over 10 MB; 1 MiB is taken.");
  await serve(request, body, response);
}

/** The whole body, or undefined where it is too large: the rest is read and dropped, so that the caller hears the answer. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  return await new Promise((resolve, reject) => {
    let parts: Buffer[] = [];
    let size = 0;
    request.on("data", (part: Buffer) => {
      size += part.length;
      if (size <= MAX_BODY_BYTES) return void parts.push(part);
      parts = [];
      resolve(undefined);
    });
    request.on("end", () => resolve(Buffer.concat(parts)));
    request.on("error", reject);
  });
}

/** An answer that has begun cannot be taken back: its connection is cut, so that nobody takes the half for the whole. */
function fail(response: ServerResponse, error: unknown): void {
  const traceId = randomUUID();
  const { problem, headers } = problemOf(error, traceId);
  if (problem.status >= 500) console.error(`trace_id ${traceId}`, error);
  if (response.headersSent) response.destroy();
  else refuse(response, problem.status, JSON.stringify(problem), headers);
}

function refuse(response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { ...headers, "content-type": PROBLEM, "content-length": Buffer.byteLength(body) });
  response.end(body);
}
