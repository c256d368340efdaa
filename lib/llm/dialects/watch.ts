import type { Tokens } from "../config/prices.ts";
import type { Json } from "./json.ts";

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

export const newWatch = (): Watch => ({ started: false, finished: false, done: false, outChars: 0 });

/** Looks at one chunk of a chat completion stream. */
export function watchChunk(watch: Watch, chunk: Json): void {
  if (typeof chunk["model"] === "string" && chunk["model"] !== "") watch.model = chunk["model"];
  if (chunk["usage"]) watch.tokens = chatTokens(chunk["usage"]);
  for (const choice of chunk["choices"] ?? []) {
    const { content, reasoning_content, reasoning, refusal, tool_calls } = choice.delta ?? {};
    const text = [content, reasoning_content, reasoning, refusal].filter((part) => typeof part === "string").join("");
    const calls = Array.isArray(tool_calls) && tool_calls.length > 0 ? JSON.stringify(tool_calls) : "";
    if (text !== "" || calls !== "") watch.started = true;
    watch.outChars += text.length + calls.length;
    if (choice.finish_reason) watch.finished = true;
  }
}

/** Looks at one event of a messages stream. */
export function watchMessageEvent(watch: Watch, event: Json): void {
  switch (event["type"]) {
    case "message_start":
      if (typeof event["message"]?.model === "string" && event["message"].model !== "")
        watch.model = event["message"].model;
      watch.tokens = messageTokens(event["message"]?.usage ?? {}, undefined);
      break;
    case "content_block_start":
      if (event["content_block"]?.type !== "text" || event["content_block"].text) watch.started = true;
      break;
    case "content_block_delta": {
      const { text, partial_json, thinking } = event["delta"] ?? {};
      watch.started = true;
      watch.outChars += String(text ?? partial_json ?? thinking ?? "").length;
      break;
    }
    case "message_delta":
      if (event["delta"]?.stop_reason) watch.finished = true;
      if (event["usage"]) watch.tokens = messageTokens(event["usage"], watch.tokens);
      break;
    case "message_stop":
      watch.done = true;
      break;
  }
}

/** Tokens as chat completions and embeddings tell them: cached ones are part of the input, reasoning of the output. */
export function chatTokens(usage: Json): Tokens {
  return {
    input: count(usage["prompt_tokens"]),
    output: count(usage["completion_tokens"]),
    cacheRead: count(usage["prompt_tokens_details"]?.cached_tokens),
    cacheWrite: count(usage["prompt_tokens_details"]?.cache_creation_tokens),
    reasoning: count(usage["completion_tokens_details"]?.reasoning_tokens),
  };
}

/** Tokens as messages tell them: cache reads and writes come beside the input. A later usage replaces what it names. */
export function messageTokens(usage: Json, before: Tokens | undefined): Tokens {
  const cacheRead = count(usage["cache_read_input_tokens"] ?? before?.cacheRead);
  const cacheWrite = count(usage["cache_creation_input_tokens"] ?? before?.cacheWrite);
  const plain =
    usage["input_tokens"] ?? (before === undefined ? 0 : before.input - before.cacheRead - before.cacheWrite);
  return {
    input: count(plain) + cacheRead + cacheWrite,
    output: count(usage["output_tokens"] ?? before?.output),
    cacheRead,
    cacheWrite,
    reasoning: count(usage["output_tokens_details"]?.thinking_tokens ?? before?.reasoning),
  };
}

/** The same tokens in the words of chat completions. */
export function chatUsage(tokens: Tokens): Json {
  return {
    prompt_tokens: tokens.input,
    completion_tokens: tokens.output,
    total_tokens: tokens.input + tokens.output,
    prompt_tokens_details: { cached_tokens: tokens.cacheRead },
    completion_tokens_details: { reasoning_tokens: tokens.reasoning },
  };
}

/** The same tokens in the words of messages. */
export function messageUsage(tokens: Tokens): Json {
  return {
    input_tokens: Math.max(0, tokens.input - tokens.cacheRead - tokens.cacheWrite),
    output_tokens: tokens.output,
    cache_read_input_tokens: tokens.cacheRead,
    cache_creation_input_tokens: tokens.cacheWrite,
  };
}

function count(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? Math.round(value) : 0;
}
