import { once } from "node:events";
import type http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** Streams of a vendor, whole or broken in the way that `kind` names, in the words of either dialect. */

/** Sixty words: an answer is whole when it is exactly this. */
export const WORDS = Array.from({ length: 60 }, (_, index) => `word${index}`);
export const ANSWER = WORDS.join(" ");
export const USAGE = { prompt_tokens: 20, completion_tokens: 60, total_tokens: 80 };

/** How one dialect says it, each as the text of one or more events. */
type Voice = {
  begin: string;
  word: (text: string) => string;
  /** The beginning of an event that never ends. */
  half: string;
  error: string;
  end: string;
  last: string;
};

export function chatVoice(model: string, wantsUsage: boolean): Voice {
  const say = (more: object) =>
    `data: ${JSON.stringify({ id: "c1", object: "chat.completion.chunk", created: 1, model, ...more })}\n\n`;
  const delta = (of: object, finish_reason: string | null = null) =>
    say({ choices: [{ index: 0, delta: of, finish_reason }] });
  return {
    begin: delta({ role: "assistant", content: "" }),
    word: (content) => delta({ content }),
    half: 'data: {"id":"c1","choices":[{"delta":{"content":"wo',
    error: `data: ${JSON.stringify({ error: { message: "overloaded", type: "overloaded_error" } })}\n\n`,
    end: delta({}, "stop") + (wantsUsage ? say({ choices: [], usage: USAGE }) : ""),
    last: "data: [DONE]\n\n",
  };
}

export function messagesVoice(model: string): Voice {
  const say = (event: { type: string } & Record<string, unknown>) =>
    `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
  const message = {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 20, output_tokens: 1 },
  };
  return {
    begin:
      say({ type: "message_start", message }) +
      say({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }) +
      say({ type: "ping" }),
    word: (text) => say({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }),
    half: 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"text":"wo',
    error: say({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } }),
    end:
      say({ type: "content_block_stop", index: 0 }) +
      say({
        type: "message_delta",
        delta: { stop_reason: "end_turn", stop_sequence: null },
        usage: { output_tokens: 60 },
      }),
    last: say({ type: "message_stop" }),
  };
}

/** Where in the answer a fault comes: what went before is on its way by then. */
const BREAKS: Record<string, number> = {
  "error-first": 0,
  "event-endless": 0,
  "error-inside": 10,
  garbage: 10,
  stall: 20,
  "event-huge": 20,
  cut: 40,
  "cut-clean": 40,
  "cut-token": 40,
};

export async function streamAnswer(kind: string, voice: Voice, slowMs: number, response: http.ServerResponse) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.flushHeaders();
  response.write(voice.begin);
  if (kind === "slow-first") await sleep(slowMs);
  for (const [index, word] of WORDS.entries()) {
    if (response.destroyed) return;
    if (index === BREAKS[kind]) {
      if (index > 0) await sleep(20);
      if (!(await breaks(kind, voice, response))) return;
    } else response.write(voice.word(index === 0 ? word : ` ${word}`));
    if (kind === "drip" || kind === "endless") await sleep(kind === "drip" ? 20 : 100);
  }
  response.write(voice.end);
  if (kind === "no-done-open") return;
  response.end(kind === "no-done" ? "" : voice.last);
}

/** The fault itself; answers whether the stream goes on after it. */
async function breaks(kind: string, voice: Voice, response: http.ServerResponse): Promise<boolean> {
  switch (kind) {
    case "garbage":
      return response.write('data: {"broken": \n\n') || true;
    case "error-first":
    case "error-inside":
      response.end(voice.error);
      return false;
    case "cut-clean":
      response.end();
      return false;
    case "cut-token":
      response.write(voice.half);
      await sleep(20);
      response.socket?.destroy();
      return false;
    case "cut":
      response.socket?.destroy();
      return false;
    case "event-endless":
    case "event-huge":
      response.write(voice.half);
      await pour(response, kind === "event-huge" ? 12 : 200);
      if (kind === "event-endless") return false;
      return response.write('"}}]}\n\n') || true;
  }
  return false;
}

/** So many megabytes without a line's end, as fast as they are taken, until nobody takes them any more. */
export async function pour(response: http.ServerResponse, megabytes: number): Promise<void> {
  const block = "x".repeat(1_000_000);
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  for (let i = 0; i < megabytes && !response.destroyed; i++) {
    if (!response.write(block)) await once(response, "drain", { signal: gone.signal }).catch(() => {});
  }
}
