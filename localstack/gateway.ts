import { isUtf8 } from "node:buffer";
import { randomUUID } from "node:crypto";
import { CallerError } from "../lib/errors.ts";
import { problemOf } from "../lib/runtime/problem.ts";

type Refusal = { isBoom: true; message: string; output: { statusCode: number } };
type Reply = { code: (status: number) => Reply; type: (contentType: string) => Reply };
type Toolkit = { continue: symbol; response: (body: string) => Reply };
type Request = { payload: unknown; headers: Record<string, string>; response: Refusal | { isBoom?: false } };

/** The HTTP server of serverless-offline, as far as we touch it. */
export type Gateway = {
  ext: (event: "onPreHandler" | "onPreResponse", run: (request: Request, h: Toolkit) => unknown) => void;
};

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
    return h.response(JSON.stringify(problem)).code(problem.status).type("application/problem+json");
  });
}

function errorOf({ message, output: { statusCode } }: Refusal): Error {
  if (statusCode === 413) return new CallerError(413, "body_too_large", "The body is over 10 MB; 1 MiB is taken.");
  if (statusCode >= 500) return new Error(message);
  return new CallerError(400, "bad_request", "The request is not valid: its path or a header cannot be read.");
}
