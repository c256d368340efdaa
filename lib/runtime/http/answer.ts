import { CallerError } from "../../errors.ts";
import type { Answer } from "./route.ts";
import { responseOf } from "./web.ts";

/** Lambda carries 6 MB, counted as JSON text in a JSON string. */
const MAX_ANSWER_BYTES = 6_000_000;

/** Whether Lambda can carry this body back to API Gateway. */
export function fitsLambda(text: string): boolean {
  return text.length <= MAX_ANSWER_BYTES / 6 || Buffer.byteLength(JSON.stringify(text)) <= MAX_ANSWER_BYTES;
}

/** An answer as it goes out, with the headers that all have. Throws a CallerError, 413, where it is over 6 MB. */
export function render({ status, body, bytes, headers: own }: Answer, traceId: string): Response {
  const headers = {
    ...(body === undefined ? {} : { "content-type": "application/json" }),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-trace-id": traceId,
    ...own,
  };
  if (bytes !== undefined) return responseOf({ status, headers, body: bytes });
  const text = body === undefined ? "" : JSON.stringify(body);
  if (!fitsLambda(text)) {
    const message = "The answer would be larger than 6 MB. Ask for less at once, such as with a smaller limit.";
    throw new CallerError(413, "answer_too_large", message);
  }
  return responseOf({ status, headers, body: text });
}
