import { once } from "node:events";
import type { Writable } from "node:stream";
import type { Context } from "aws-lambda";
import { abortReason } from "../../errors.ts";
import { aroundOf, type Head, type HttpEvent, headOf, requestFrom } from "./lambda.ts";
import type { Fetch } from "./serve.ts";
import { partsOfResponse } from "./web.ts";

/** What Lambda puts into every function with response streaming; the local stack does the same. */
declare const awslambda: {
  streamifyResponse: (run: (event: HttpEvent, out: Writable, context: Context) => Promise<void>) => unknown;
  HttpResponseStream: {
    from: (out: Writable, head: Head) => Writable;
  };
};

/** Made once: an abort without a reason makes an error with a stack, for each call. */
const CALLER_GONE = abortReason("the caller is gone");

/** A Lambda handler behind a function URL with response streaming: an answer is given as it comes. */
export function functionUrl(fetch: Fetch): unknown {
  // Taken when the function is loaded: locally serverless-offline puts its own in the place later.
  const { streamifyResponse, HttpResponseStream } = awslambda;
  return streamifyResponse(async (event, out, context) => {
    const gone = new AbortController();
    const leave = () => gone.abort(CALLER_GONE);
    out.on("close", leave);
    out.on("error", leave);
    const after: (() => Promise<void>)[] = [];
    const response = await fetch(requestFrom(event, gone.signal), {
      ...aroundOf(event, after),
      remainingMs: () => context.getRemainingTimeInMillis(),
    });
    const answer = partsOfResponse(response);
    const { body } = answer;
    const stream = HttpResponseStream.from(out, headOf(answer));
    if (typeof body === "string" || body instanceof Uint8Array) {
      if (body.length > 0) stream.write(body);
    } else {
      for await (const part of body) {
        if (gone.signal.aborted) break;
        if (!stream.write(part)) await once(stream, "drain", { signal: gone.signal }).catch(() => {});
      }
    }
    stream.end();
    // After the answer: what it took is written when the caller has everything.
    for (const run of after) await run();
  });
}
