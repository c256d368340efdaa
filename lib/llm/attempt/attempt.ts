import type { Inbound, Post } from "../../runtime/upstream.ts";
import { BadAnswer, classify, type Failure, SWITCHED_OFF, statusOfEvent, tidy } from "../config/failure.ts";
import type { Model, Timeouts } from "../config/schema.ts";
import type { Bridge } from "../dialects/dialect.ts";
import type { Json } from "../dialects/json.ts";
import type { Watch } from "../dialects/watch.ts";
import type { ChatAnswer } from "../dialects/wire.ts";
import type { Clock } from "./clock.ts";

// What a plain and a streamed attempt have in common: the request, the reading of an answer, and what its failure is.

/** One request to one vendor. `stopped` and the clocks end it; what it learns goes into `watch`. */
export type Attempt = {
  model: Model;
  key: string | undefined;
  bridge: Bridge;
  body: Json;
  /** Headers of the caller that the vendor should see, such as anthropic-beta. */
  headers: Record<string, string>;
  clocks: Timeouts;
  /** The caller is gone, the answer is not needed any more, or SWITCHED_OFF. */
  stopped: AbortSignal;
  watch: Watch;
  post: Post;
  now: () => number;
  /** Called when the request leaves: the vendor may have read it, whatever follows. */
  onSent: () => void;
  onFirstToken: () => void;
};

/** More than any answer has, and more than a function can give. */
export const MAX_ANSWER_BYTES = 20_000_000;

/** Sends the request; the first clock runs from here on. */
export async function send(attempt: Attempt, clock: Clock, request: Json): Promise<Inbound> {
  const { model, key, bridge, headers, clocks, post } = attempt;
  const { provider } = model;
  const auth: Record<string, string> =
    provider.type === "anthropic"
      ? { "anthropic-version": "2023-06-01", ...(key === undefined ? {} : { "x-api-key": key }) }
      : key === undefined
        ? {}
        : { authorization: `Bearer ${key}` };
  const body = JSON.stringify(request);
  clock.arm(clocks.first_token_ms, "no token came");
  clock.signal.throwIfAborted();
  return await post({
    url: provider.base_url + bridge.path,
    headers: { "content-type": "application/json", ...headers, ...provider.headers, ...auth },
    body,
    connectMs: clocks.connect_ms,
    signal: clock.signal,
    onLeaving: attempt.onSent,
  });
}

/** Reads an answer to its end. */
export async function readAll(inbound: Inbound, clock: Clock, idleMs: number): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  let begun = false;
  for await (const part of inbound.body) {
    // Blanks before the answer keep the connection open, and are none of it: the first clock runs on.
    begun ||= part.some((byte) => byte > 0x20);
    if (begun) clock.arm(idleMs, "the answer went silent");
    size += part.length;
    if (size > MAX_ANSWER_BYTES) throw new BadAnswer(`the answer has more than ${MAX_ANSWER_BYTES} bytes`);
    parts.push(part);
  }
  clock.ended();
  return parts.length === 1 ? String(parts[0]) : Buffer.concat(parts).toString();
}

/** Whether an answer or an event under HTTP 200 tells of a failure; some vendors tell it beside the choices that they give up. */
export function saysError(answer: Json): boolean {
  // No finish reason of OpenAI's: OpenRouter says it so, https://openrouter.ai/docs/api-reference/streaming.
  return answer["error"] != null || (answer as ChatAnswer).choices?.[0]?.finish_reason === ("error" as string);
}

/** What the answer says of a failure; undefined where it says none. */
export function failureOf(inbound: Inbound, answer: Json | undefined, text: string, now: number): Failure | undefined {
  const { status, headers } = inbound;
  const inside = answer !== undefined && saysError(answer);
  if (status >= 200 && status < 300 && !inside) return undefined;
  return classify(
    { status: status < 400 && inside ? statusOfEvent(answer) : status, headers, body: answer ?? text },
    now,
  );
}

/** Whatever a vendor quotes of us, the key does not get any further. */
export function withoutKey(failure: Failure, key: string | undefined): Failure {
  return key === undefined || key.length < 4
    ? failure
    : { ...failure, message: failure.message.replaceAll(key, "[key]") };
}

/** What an error on the way was. */
export function faultOf(error: unknown, clock: Clock): Failure {
  const { name = "", code, message = "" } = (error ?? {}) as { name?: string; code?: string; message?: string };
  const fired = clock.fired();
  if (fired !== undefined) return { class: "timeout", message: fired };
  const { reason } = clock.signal;
  if (reason === SWITCHED_OFF) return { class: "switched_off", message: SWITCHED_OFF.message };
  if (name === "ConnectTimeout") return { class: "timeout", message };
  if (error instanceof BadAnswer) return { class: "bad_answer", message, lasting: true };
  if (typeof code === "string" && code.startsWith("HPE_"))
    return { class: "bad_answer", code, message: "the answer is not HTTP" };
  return {
    class: "network",
    ...(typeof code === "string" ? { code } : {}),
    message: tidy(message || code || "connection lost"),
  };
}
