import type { EventSourceMessage } from "eventsource-parser";
import type { Inbound } from "../../runtime/upstream.ts";
import { classify, type Failure, statusOfEvent } from "../config/failure.ts";
import { type Bridge, chunksOf } from "../dialects/dialect.ts";
import { type Json, parseObject } from "../dialects/json.ts";
import { sseReader, sseText } from "../dialects/sse.ts";
import { type Attempt, failureOf, faultOf, readAll, saysError, send, withoutKey } from "./attempt.ts";
import { type Clock, startClock } from "./clock.ts";

/** After its last event a stream is read to its end for so long; without [DONE], until usage has come or so long. */
const DRAIN_MS = 50;
const FINISH_MS = 250;
const USAGE_MS = 1_000;
/** Why a clock ends a stream. */
const SILENT = "the stream went silent";
const COMPLETE = "the answer is complete";

/**
 * Asks for a stream and gives the caller's events as text. Returns why it failed, or undefined when the answer is complete:
 * the vendor said why it stopped, and nothing on the way was broken.
 */
export async function* streamAttempt(attempt: Attempt): AsyncGenerator<string, Failure | undefined> {
  const failure = yield* askStream(attempt);
  return failure === undefined ? undefined : withoutKey(failure, attempt.key);
}

type Translation = ReturnType<Bridge["stream"]>;

async function* askStream(attempt: Attempt): AsyncGenerator<string, Failure | undefined> {
  const { bridge, watch } = attempt;
  const clock = startClock(attempt);
  const translate = bridge.stream(Math.floor(attempt.now() / 1000));
  try {
    const inbound = await send(attempt, clock, streamRequest(attempt));
    const streams = (inbound.headers["content-type"] ?? "").includes("text/event-stream");
    const failure = yield* (streams ? eventsOf : eventsOfWhole)(inbound, attempt, clock, translate);
    if (failure !== undefined) return failure;
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

function streamRequest({ bridge, body, model }: Attempt): Json {
  const request = bridge.request(body, model);
  // Ollama loses tool calls in streams; a local model is asked for the whole answer then.
  if (model.provider.local && request["tools"] !== undefined) {
    delete request["stream"];
    delete request["stream_options"];
  }
  return request;
}

/** The events of an answer that came whole, though a stream was asked for. */
async function* eventsOfWhole(
  inbound: Inbound,
  { bridge, watch, clocks, now, onFirstToken }: Attempt,
  clock: Clock,
  translate: Translation,
): AsyncGenerator<string, Failure | undefined> {
  const text = await readAll(inbound, clock, clocks.idle_ms);
  const answer = parseObject(text);
  const failure = failureOf(inbound, answer, text, now());
  if (failure !== undefined) return failure;
  if (answer === undefined || bridge.path !== "/chat/completions" || !bridge.read(answer, watch)) {
    const message = `no stream came, but ${inbound.headers["content-type"] ?? "bytes"}`;
    return { class: "bad_answer", status: inbound.status, message };
  }
  for (const chunk of chunksOf(answer)) {
    bridge.watch(watch, chunk);
    for (const { event, data } of translate.next(chunk, watch)) yield sseText(event, data);
  }
  onFirstToken();
  return undefined;
}

/** The events of a stream, those that came in one piece in one piece. */
async function* eventsOf(
  inbound: Inbound,
  attempt: Attempt,
  clock: Clock,
  translate: Translation,
): AsyncGenerator<string, Failure | undefined> {
  const { watch, clocks } = attempt;
  if (inbound.status >= 400) {
    const text = await readAll(inbound, clock, clocks.idle_ms);
    const { status, headers } = inbound;
    return classify({ status, headers, body: parseObject(text) ?? text }, attempt.now());
  }
  const reader = sseReader();
  let done = false;
  for await (const bytes of inbound.body) {
    if (watch.started) clock.arm(clocks.idle_ms, SILENT);
    // What came in one piece goes out in one piece: half the CPU time of an event at a time.
    let out = "";
    const events: EventSourceMessage[] = done ? [] : reader.push(bytes);
    for (const event of events) {
      done = event.data === "[DONE]" || watch.done;
      if (done) break;
      const { json, failure } = readEvent(event, attempt, inbound);
      if (failure !== undefined) return failure;
      see(json, attempt, clock);
      for (const { event: name, data } of translate.next(json, watch))
        out += sseText(name, data === json ? event.data : data);
    }
    if (out !== "") yield out;
    done ||= watch.done;
    // Read to its end, which comes with the last event, so that the connection can be used again.
    if (done) clock.arm(DRAIN_MS, COMPLETE);
    // Some vendors never say [DONE] and keep the connection: after the reason only the usage can follow.
    else if (watch.finished) clock.arm(watch.tokens === undefined ? USAGE_MS : FINISH_MS, COMPLETE);
  }
  return undefined;
}

/** Notes what an event says of the answer; with the first token the clock is that of a silent stream. */
function see(json: Json, { bridge, watch, clocks, onFirstToken }: Attempt, clock: Clock): void {
  const wasStarted = watch.started;
  bridge.watch(watch, json);
  if (wasStarted || !watch.started) return;
  onFirstToken();
  clock.arm(clocks.idle_ms, SILENT);
}

type EventRead = { json: Json; failure?: undefined } | { json?: undefined; failure: Failure };

function readEvent(event: EventSourceMessage, { now }: Attempt, { headers }: Inbound): EventRead {
  const json = parseObject(event.data);
  // What a broken event held is lost, so going on would make an answer with a hole in it.
  if (json === undefined) return { failure: { class: "bad_answer", message: "an event of the stream is not JSON" } };
  if (event.event === "error" || json["type"] === "error" || saysError(json)) {
    return { failure: classify({ status: statusOfEvent(json), headers, body: json }, now()) };
  }
  return { json };
}
