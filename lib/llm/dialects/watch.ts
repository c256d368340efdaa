import type { Tokens } from "../config/prices.ts";
import type { Json } from "./json.ts";
import { chatTokens, messageTokens } from "./tokens.ts";
import type { ChatChunk, ChatDelta, MessageEvent } from "./wire.ts";

/** What is known of an answer while it comes, whatever its dialect. */
export type Watch = {
  /** Something of the answer itself has come: text, a tool call, reasoning. */
  started: boolean;
  /** The vendor has said why it stopped. */
  finished: boolean;
  /** The vendor has said that nothing more comes. */
  done: boolean;
  model?: string;
  tokens?: Tokens;
  /** Characters of the answer, for an estimate where the vendor tells no usage. */
  outChars: number;
};

/** A watch over an answer of which nothing has come. */
export const newWatch = (): Watch => ({ started: false, finished: false, done: false, outChars: 0 });

/**
 * Looks at one chunk of a chat completion stream, and changes `watch`.
 * @see https://platform.openai.com/docs/api-reference/chat-streaming/streaming
 */
export function watchChunk(watch: Watch, chunk: ChatChunk): void {
  if (typeof chunk.model === "string" && chunk.model !== "") watch.model = chunk.model;
  if (chunk.usage) watch.tokens = chatTokens(chunk.usage);
  for (const { delta, finish_reason } of chunk.choices ?? []) {
    const chars = charsOf(delta ?? {});
    if (chars > 0) watch.started = true;
    watch.outChars += chars;
    if (finish_reason) watch.finished = true;
  }
}

/** Characters of what a delta says. Reasoning is not OpenAI's: DeepSeek and others tell it so, under one name or the other. */
function charsOf(delta: ChatDelta): number {
  const { content, refusal, tool_calls } = delta;
  const { reasoning_content, reasoning } = delta as Json;
  let chars = 0;
  for (const said of [content, reasoning_content, reasoning, refusal])
    if (typeof said === "string") chars += said.length;
  return Array.isArray(tool_calls) && tool_calls.length > 0 ? chars + JSON.stringify(tool_calls).length : chars;
}

/**
 * Looks at one event of a messages stream, and changes `watch`.
 * @see https://docs.anthropic.com/en/docs/build-with-claude/streaming#event-types
 */
export function watchMessageEvent(watch: Watch, event: MessageEvent): void {
  switch (event.type) {
    case "message_start": {
      const { model, usage } = event.message ?? {};
      if (typeof model === "string" && model !== "") watch.model = model;
      watch.tokens = messageTokens(usage ?? {}, undefined);
      break;
    }
    case "content_block_start":
      if (event.content_block?.type !== "text" || event.content_block.text) watch.started = true;
      break;
    case "content_block_delta": {
      watch.started = true;
      watch.outChars += charsAdded(event.delta ?? {});
      break;
    }
    case "message_delta":
      if (event.delta?.stop_reason) watch.finished = true;
      if (event.usage) watch.tokens = messageTokens(event.usage, watch.tokens);
      break;
    case "message_stop":
      watch.done = true;
      break;
    case "content_block_stop":
    case undefined:
    case null:
      break;
  }
}

function charsAdded(delta: Json): number {
  const said = delta["text"] ?? delta["partial_json"] ?? delta["thinking"];
  return typeof said === "string" ? said.length : 0;
}
