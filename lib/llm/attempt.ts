import type { Inbound, Post } from "../runtime/upstream.ts";
import type { Model, Timeouts } from "./config-schema.ts";
import { type Bridge, chunksOf } from "./dialect.ts";
import { classify, type Failure, statusOfEvent, tidy } from "./failure.ts";
import { type Json, parseObject } from "./json.ts";
import { SWITCHED_OFF } from "./kill-switch.ts";
import { type SseEvent, sseReader, sseText } from "./sse.ts";
import type { Watch } from "./watch.ts";

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
  /** Called when the request is about to leave. */
  onSent: () => void;
  onFirstToken: () => void;
};

/** More than any answer has. */
const MAX_ANSWER_BYTES = 32_000_000;

export type Plain = { ok: true; text: string } | { ok: false; failure: Failure };

/** Asks for the whole answer. */
export async function plainAttempt(attempt: Attempt): Promise<Plain> {
  const answer = await askPlain(attempt);
  return answer.ok ? answer : { ok: false, failure: withoutKey(answer.failure, attempt.key) };
}

async function askPlain(attempt: Attempt): Promise<Plain> {
  const clock = startClock(attempt);
  try {
    const inbound = await send(attempt, clock, attempt.bridge.request(attempt.body, attempt.model));
    const text = await readAll(inbound, clock, attempt.clocks.idle_ms);
    const answer = parseObject(text);
    const failure = failureOf(inbound, answer, text, attempt.now());
    if (failure !== undefined) return { ok: false, failure };
    if (answer === undefined || !attempt.bridge.read(answer, attempt.watch)) {
      return {
        ok: false,
        failure: {
          class: "bad_answer",
          status: inbound.status,
          message: "the vendor's answer is not what was asked for",
        },
      };
    }
    attempt.onFirstToken();
    const translated = attempt.bridge.answer(answer, Math.floor(attempt.now() / 1000));
    return { ok: true, text: translated === undefined ? text : JSON.stringify(translated) };
  } catch (error) {
    return { ok: false, failure: faultOf(error, clock) };
  } finally {
    clock.stop();
  }
}

/**
 * Asks for a stream and gives the caller's events as text. Returns why it failed, or undefined when the answer is complete:
 * the vendor said why it stopped, and nothing on the way was broken.
 */
export async function* streamAttempt(attempt: Attempt): AsyncGenerator<string, Failure | undefined> {
  const failure = yield* askStream(attempt);
  return failure === undefined ? undefined : withoutKey(failure, attempt.key);
}

async function* askStream(attempt: Attempt): AsyncGenerator<string, Failure | undefined> {
  const { bridge, watch, clocks } = attempt;
  const clock = startClock(attempt);
  const translate = bridge.stream(Math.floor(attempt.now() / 1000));
  try {
    const request = bridge.request(attempt.body, attempt.model);
    // Ollama loses tool calls in streams; a local model is asked for the whole answer then.
    if (attempt.model.provider.local && request["tools"] !== undefined) {
      delete request["stream"];
      delete request["stream_options"];
    }
    const inbound = await send(attempt, clock, request);
    if (!(inbound.headers["content-type"] ?? "").includes("text/event-stream")) {
      const text = await readAll(inbound, clock, clocks.idle_ms);
      const answer = parseObject(text);
      const failure = failureOf(inbound, answer, text, attempt.now());
      if (failure !== undefined) return failure;
      if (answer === undefined || bridge.path !== "/chat/completions" || !bridge.read(answer, watch)) {
        return {
          class: "bad_answer",
          status: inbound.status,
          message: `no stream came, but ${inbound.headers["content-type"] ?? "bytes"}`,
        };
      }
      for (const chunk of chunksOf(answer)) {
        bridge.watch(watch, chunk);
        for (const { event, data } of translate.next(chunk, watch)) yield sseText(event, data);
      }
      attempt.onFirstToken();
    } else {
      if (inbound.status >= 400) {
        const text = await readAll(inbound, clock, clocks.idle_ms);
        return classify(
          { status: inbound.status, headers: inbound.headers, body: parseObject(text) ?? text },
          attempt.now(),
        );
      }
      const reader = sseReader();
      let done = false;
      for await (const bytes of inbound.body) {
        if (watch.started) clock.arm(clocks.idle_ms, "the stream went silent");
        // What came in one piece goes out in one piece: half the CPU time of an event at a time.
        let out = "";
        const events: SseEvent[] = done ? [] : reader.push(bytes);
        for (const event of events) {
          done = event.data === "[DONE]" || watch.done;
          if (done) break;
          const { json, failure } = readStep(event, attempt, inbound);
          if (failure !== undefined) return failure;
          const wasStarted = watch.started;
          bridge.watch(watch, json);
          if (!wasStarted && watch.started) {
            attempt.onFirstToken();
            clock.arm(clocks.idle_ms, "the stream went silent");
          }
          for (const { event: name, data } of translate.next(json, watch))
            out += sseText(name, data === json ? event.data : data);
        }
        if (out !== "") yield out;
        done ||= watch.done;
        // Read to its end, which comes with the last event, so that the connection can be used again.
        if (done) clock.arm(DRAIN_MS, "the answer is complete");
        // Some vendors never say [DONE] and keep the connection: after the reason only the usage can follow.
        else if (watch.finished) clock.arm(watch.tokens === undefined ? USAGE_MS : FINISH_MS, "the answer is complete");
      }
    }
    clock.ended();
    if (!watch.finished) return { class: "cut_stream", message: "the stream ended before the answer did" };
  } catch (error) {
    // What breaks after the vendor has said why it stopped takes nothing from the answer.
    if (!watch.finished) {
      const failure = faultOf(error, clock);
      return watch.started && failure.class === "network" ? { ...failure, class: "cut_stream" } : failure;
    }
  } finally {
    clock.stop();
  }
  for (const { event, data } of translate.end(watch)) yield sseText(event, data);
  return undefined;
}

/** Whatever a vendor quotes of us, the key does not get any further. */
function withoutKey(failure: Failure, key: string | undefined): Failure {
  return key === undefined || key.length < 4
    ? failure
    : { ...failure, message: failure.message.replaceAll(key, "[key]") };
}

const DRAIN_MS = 50;
const FINISH_MS = 250;
const USAGE_MS = 1_000;

type Step = { json: Json; failure?: undefined } | { json?: undefined; failure: Failure };

function readStep(event: SseEvent, { now }: Attempt, { headers }: Inbound): Step {
  const json = parseObject(event.data);
  // What a broken event held is lost, so going on would make an answer with a hole in it.
  if (json === undefined) return { failure: { class: "bad_answer", message: "an event of the stream is not JSON" } };
  if (event.event === "error" || json["type"] === "error" || (json["error"] != null && json["choices"] === undefined)) {
    return { failure: classify({ status: statusOfEvent(json), headers, body: json }, now()) };
  }
  return { json };
}

function failureOf(inbound: Inbound, answer: Json | undefined, text: string, now: number): Failure | undefined {
  const { status, headers } = inbound;
  const saysError = answer !== undefined && answer["error"] != null && answer["choices"] === undefined;
  if (status >= 200 && status < 300 && !saysError) return undefined;
  return classify(
    { status: status < 400 && saysError ? statusOfEvent(answer) : status, headers, body: answer ?? text },
    now,
  );
}

async function send(attempt: Attempt, clock: Clock, request: Json): Promise<Inbound> {
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
  attempt.onSent();
  return await post({
    url: provider.base_url + bridge.path,
    headers: { "content-type": "application/json", ...headers, ...provider.headers, ...auth },
    body,
    connectMs: clocks.connect_ms,
    signal: clock.signal,
  });
}

async function readAll(inbound: Inbound, clock: Clock, idleMs: number): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of inbound.body) {
    clock.arm(idleMs, "the answer went silent");
    size += part.length;
    if (size > MAX_ANSWER_BYTES) throw new BadAnswer(`the answer has more than ${MAX_ANSWER_BYTES} bytes`);
    parts.push(part);
  }
  clock.ended();
  return parts.length === 1 ? String(parts[0]) : Buffer.concat(parts).toString();
}

const OVER = new Error("the attempt is over");

class BadAnswer extends Error {
  override name = "BadAnswer";
}

type Clock = {
  signal: AbortSignal;
  arm: (ms: number, reason: string) => void;
  fired: () => string | undefined;
  /** The answer has been read to its end: there is nothing left to hang up on. */
  ended: () => void;
  stop: () => void;
};

/** One timer for the clock that runs now, and the end of everything that is still going on when it rings. */
function startClock({ stopped, clocks }: Attempt): Clock {
  const controller = new AbortController();
  let fired: string | undefined;
  let over = false;
  let timer: NodeJS.Timeout | undefined;
  const ring = (reason: string) => {
    fired = reason;
    controller.abort(new Error(reason));
  };
  const total = setTimeout(ring, clocks.total_ms, "the time for the whole answer is over");
  const stop = () => controller.abort(stopped.reason);
  stopped.addEventListener("abort", stop, { once: true });
  if (stopped.aborted) stop();
  return {
    signal: controller.signal,
    arm: (ms, reason) => {
      clearTimeout(timer);
      timer = setTimeout(ring, ms, reason);
    },
    fired: () => fired,
    ended: () => {
      over = true;
    },
    stop: () => {
      clearTimeout(timer);
      clearTimeout(total);
      stopped.removeEventListener("abort", stop);
      // Ends the request if it still runs: a reader that stopped early leaves a vendor generating otherwise.
      if (!over) controller.abort(OVER);
    },
  };
}

function faultOf(error: unknown, clock: Clock): Failure {
  const { name = "", code, message = "" } = (error ?? {}) as { name?: string; code?: string; message?: string };
  const fired = clock.fired();
  if (fired !== undefined) return { class: "timeout", message: fired };
  const { reason } = clock.signal;
  if (reason === SWITCHED_OFF) return { class: "switched_off", message: SWITCHED_OFF.message };
  if (name === "ConnectTimeout") return { class: "timeout", message };
  if (name === "BadAnswer") return { class: "bad_answer", message };
  if (typeof code === "string" && code.startsWith("HPE_"))
    return { class: "bad_answer", code, message: "the answer is not HTTP" };
  return {
    class: "network",
    ...(typeof code === "string" ? { code } : {}),
    message: tidy(message || code || "connection lost"),
  };
}
