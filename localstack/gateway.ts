import { randomUUID } from "node:crypto";
import { CallerError } from "../lib/errors.ts";
import { problemOf } from "../lib/runtime/problem.ts";

type Refusal = { isBoom: true; message: string; output: { statusCode: number } };
type Reply = { code: (status: number) => Reply; type: (contentType: string) => Reply };
type Toolkit = { continue: symbol; response: (body: string) => Reply };
type Request = { response: Refusal | { isBoom?: false } };

/** The HTTP server of serverless-offline, as far as we touch it. */
export type Gateway = { ext: (event: "onPreResponse", run: (request: Request, h: Toolkit) => unknown) => void };

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
