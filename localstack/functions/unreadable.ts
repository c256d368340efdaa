import { randomUUID } from "node:crypto";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { CallerError } from "../../lib/errors.ts";
import { PROBLEM, problemOf } from "../../lib/runtime/http/problem.ts";

/** What Node's parser and its clock say of a request, by the code of its error; anything else is a 400. */
const FAULTS: Record<string, CallerError> = {
  HPE_HEADER_OVERFLOW: new CallerError(431, "headers_too_large", "The path and the headers are over 16 KiB together."),
  HPE_CHUNK_EXTENSIONS_OVERFLOW: new CallerError(
    413,
    "body_too_large",
    "The extensions of the chunks are over 16 KiB.",
  ),
  ERR_HTTP_REQUEST_TIMEOUT: new CallerError(
    408,
    "request_timeout",
    "The request did not arrive whole in time. Send it again.",
  ),
};
const UNREADABLE = new CallerError(
  400,
  "bad_request",
  "This is not HTTP/1.1 as it can be read: its method or a header.",
);
const NO_TUNNEL = new CallerError(405, "method_not_allowed", "This is no proxy: CONNECT is not taken.");
const EXPECTED = new CallerError(417, "expectation_failed", "Of Expect only 100-continue is understood. Leave it out.");

/**
 * Has a server answer as a problem what Node would answer without a word or not at all: what it cannot read as HTTP, such as a method
 * that it does not know, headers over 16 KiB, a request that comes too slowly, CONNECT (each of these closes its connection) and an
 * Expect that it does not know. Nothing is written into an answer that is under way.
 */
export function answerUnreadable(server: Server): void {
  const answers = new WeakMap<Duplex, ServerResponse>();
  server.on("request", ({ socket }, response) => answers.set(socket, response));
  // In place of the server's own, which says no more than the status.
  server.removeAllListeners("clientError").on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const { headersSent = false, writableFinished = true } = answers.get(socket) ?? {};
    if (socket.writable && (!headersSent || writableFinished))
      socket.end(whole(FAULTS[error.code ?? ""] ?? UNREADABLE));
    else socket.destroy(error);
  });
  server.on("connect", (_request, socket) => socket.on("error", () => {}).end(whole(NO_TUNNEL)));
  server.on("checkExpectation", (_request, response: ServerResponse) => {
    const { head, body } = answerOf(EXPECTED);
    response.writeHead(EXPECTED.status, head).end(body);
  });
}

/** The fault of a request of HTTP/1.1 that does not name one host (RFC 9112, 3.2); one of HTTP/1.0 need not. */
export function hostFault({ httpVersion, headersDistinct }: IncomingMessage): CallerError | undefined {
  const { length } = headersDistinct["host"] ?? [];
  if (length === 1 || (length === 0 && httpVersion === "1.0")) return undefined;
  return new CallerError(400, "bad_request", "The request must have one header Host.");
}

function answerOf(error: CallerError) {
  const { problem } = problemOf(error, randomUUID());
  const body = JSON.stringify(problem);
  const head = { "content-type": PROBLEM, "content-length": Buffer.byteLength(body), connection: "close" };
  return { title: problem.title, head, body };
}

/** An answer for a connection of which Node has made no response. */
function whole(error: CallerError): string {
  const { title, head, body } = answerOf(error);
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${error.status} ${title}`, ...lines, "", body].join("\r\n");
}
