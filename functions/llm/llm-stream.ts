import { once } from "node:events";
import type { Writable } from "node:stream";
import type { Context } from "aws-lambda";
import { abortReason } from "../../lib/errors.ts";
import { type LlmEvent, serveLlm } from "../../lib/wiring/llm.ts";

/** What Lambda puts into every function with response streaming; the local stack does the same. */
declare const awslambda: {
  streamifyResponse: (run: (event: LlmEvent, out: Writable, context: Context) => Promise<void>) => unknown;
  HttpResponseStream: {
    from: (out: Writable, head: { statusCode: number; headers: Record<string, string> }) => Writable;
  };
};

/** Made once: an abort without a reason makes an error with a stack, for each call. */
const CALLER_GONE = abortReason("the caller is gone");

// Taken when this is loaded: locally serverless-offline puts its own in the place later.
const { streamifyResponse, HttpResponseStream } = awslambda;

/** The LLM gateway behind its function URL: the same calls as llm-route, streams given as they come. */
export const handler: unknown = streamifyResponse(async (event, out, context) => {
  const gone = new AbortController();
  const leave = () => gone.abort(CALLER_GONE);
  out.on("close", leave);
  out.on("error", leave);
  const reply = await serveLlm(event, context, gone.signal);
  const body = HttpResponseStream.from(out, { statusCode: reply.status, headers: reply.headers });
  if (reply.body !== "") body.write(reply.body);
  if (reply.stream !== undefined) {
    for await (const part of reply.stream) {
      if (gone.signal.aborted) break;
      if (!body.write(part)) await once(body, "drain", { signal: gone.signal }).catch(() => {});
    }
  }
  body.end();
  // After the answer: what it took is written when the caller has everything.
  await reply.after();
});
