import { isUtf8 } from "node:buffer";
import { randomUUID } from "node:crypto";
import type { Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { CallerError } from "../../lib/errors.ts";
import { problemOf } from "../../lib/runtime/http/problem.ts";

/** The content-type of every error. */
export const PROBLEM = "application/problem+json";

type Refusal = { isBoom: true; message: string; output: { statusCode: number } };
type Reply = { code: (status: number) => Reply; type: (contentType: string) => Reply; takeover: () => Reply };
type Toolkit = { continue: symbol; response: (body: string) => Reply };
type Request = {
  method: string;
  setMethod: (method: string) => void;
  payload: unknown;
  headers: Record<string, string>;
  response: Refusal | { isBoom?: false };
};

/** The HTTP server of serverless-offline, as far as we touch it. */
export type Gateway = {
  listener: Server;
  ext: (event: "onRequest" | "onPreHandler" | "onPreResponse", run: (request: Request, h: Toolkit) => unknown) => void;
};

/**
 * Whether a call comes from a page of somebody else's in the browser of this machine: loopback does not keep those out, and
 * agents run commands. Told by an Origin, or by a Host that a foreign name server made point here. Single names are containers.
 */
export function isForeign({ origin, host = "" }: { origin?: string | undefined; host?: string | undefined }): boolean {
  if (!OWN_HOST.test(host.toLowerCase().replace(/:\d+$/, ""))) return true;
  if (origin === undefined) return false;
  const from = URL.parse(origin)?.hostname;
  return from === undefined || !OWN_PAGE.test(from);
}

const OWN_HOST = /^(\[[0-9a-f:]+\]|[0-9.]+|[a-z0-9-]+|[a-z0-9.-]+\.localhost)$/;
const OWN_PAGE = /^(\[::1\]|127\.[0-9.]+|localhost|.+\.localhost)$/;

/** What a foreign page is answered. */
export function foreignProblem(): string {
  return JSON.stringify({
    type: "urn:waybill:problem:foreign_origin",
    title: "Forbidden",
    status: 403,
    code: "foreign_origin",
    detail:
      "The local stack takes no calls from other sites' pages. Call it from this machine, by 127.0.0.1 or localhost.",
    trace_id: randomUUID(),
  });
}

/** Refuses the calls of foreign pages before anything else sees them. */
export function refuseForeign(gateway: Gateway): void {
  gateway.ext("onRequest", ({ headers }, h) => {
    if (!isForeign(headers)) return h.continue;
    return h.response(foreignProblem()).code(403).type(PROBLEM).takeover();
  });
}

/**
 * Has HEAD routed as on AWS, where it is a method like any other, which no route of ours has: to the catch-all, and so to
 * not-found. The server would give it to the route of GET.
 */
export function routeHead(gateway: Gateway): void {
  gateway.ext("onRequest", (request, h) => {
    if (request.method === "head") request.setMethod("*");
    return h.continue;
  });
  gateway.ext("onPreHandler", (request, h) => {
    if (request.method === "*") request.method = "head";
    return h.continue;
  });
}

/**
 * A body that is not UTF-8 reaches its function in base64, as bytes do on AWS: serverless-offline would put U+FFFD for what it
 * cannot read. It asks the content-type here whether a body is text, and hands the function the one that was sent.
 */
export function keepBytes(gateway: Gateway): void {
  gateway.ext("onPreHandler", ({ payload, headers }, h) => {
    if (Buffer.isBuffer(payload) && !isUtf8(payload)) headers["content-type"] = "multipart/form-data";
    return h.continue;
  });
}

/**
 * What the server refuses before any function sees it, such as a path that is no URL or a body over 10 MB, it says in its own
 * words: from here on as application/problem+json, like every other error.
 */
export function answerProblems(gateway: Gateway): void {
  gateway.ext("onPreResponse", ({ response }, h) => {
    if (!response.isBoom) return h.continue;
    const { problem } = problemOf(errorOf(response), randomUUID());
    return h.response(JSON.stringify(problem)).code(problem.status).type(PROBLEM);
  });
}

/**
 * What Node itself cannot read as HTTP, such as a method that it does not know, is answered as a problem too, and its connection
 * closed. Nothing is written into an answer that is under way.
 */
export function answerUnreadable(server: Server): void {
  const answers = new WeakMap<Duplex, ServerResponse>();
  server.on("request", ({ socket }, response) => answers.set(socket, response));
  // In place of the server's own, which says no more than the status.
  server.removeAllListeners("clientError").on("clientError", (error, socket) => {
    const { headersSent = false, writableFinished = true } = answers.get(socket) ?? {};
    if (socket.writable && (!headersSent || writableFinished)) socket.end(unreadable());
    else socket.destroy(error);
  });
}

function unreadable(): string {
  const error = new CallerError(400, "bad_request", "This is not HTTP/1.1 as it can be read: its method or a header.");
  const body = JSON.stringify(problemOf(error, randomUUID()).problem);
  const head = ["HTTP/1.1 400 Bad Request", `content-type: ${PROBLEM}`, `content-length: ${Buffer.byteLength(body)}`];
  return [...head, "connection: close", "", body].join("\r\n");
}

function errorOf({ message, output: { statusCode } }: Refusal): Error {
  if (statusCode === 413) return new CallerError(413, "body_too_large", "The body is over 10 MB; 1 MiB is taken.");
  if (statusCode >= 500) return new Error(message);
  return new CallerError(400, "bad_request", "The request is not valid: its path or a header cannot be read.");
}
