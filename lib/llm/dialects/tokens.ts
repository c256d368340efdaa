import type { Tokens } from "../config/prices.ts";
import type { Json } from "./json.ts";
import type { ChatUsage, MessageUsage } from "./wire.ts";

/**
 * Tokens as chat completions and embeddings tell them: cached ones are part of the input, reasoning of the output. 0 where
 * nothing, or no number, is told.
 * @see https://platform.openai.com/docs/api-reference/chat/object
 */
export function chatTokens(usage: ChatUsage): Tokens {
  const { prompt_tokens_details: input, completion_tokens_details: output } = usage;
  return {
    input: count(usage.prompt_tokens),
    output: count(usage.completion_tokens),
    cacheRead: count(input?.cached_tokens),
    // Not OpenAI's: some that speak like it tell so what was written to their cache.
    cacheWrite: count((input as Json | undefined)?.["cache_creation_tokens"]),
    reasoning: count(output?.reasoning_tokens),
  };
}

/**
 * Tokens as messages tell them: cache reads and writes come beside the input. A later usage replaces what it names.
 * @see https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance
 */
export function messageTokens(usage: MessageUsage, before: Tokens | undefined): Tokens {
  const cacheRead = count(usage.cache_read_input_tokens ?? before?.cacheRead);
  const cacheWrite = count(usage.cache_creation_input_tokens ?? before?.cacheWrite);
  const plain = usage.input_tokens ?? (before === undefined ? 0 : before.input - before.cacheRead - before.cacheWrite);
  return {
    input: count(plain) + cacheRead + cacheWrite,
    output: count(usage.output_tokens ?? before?.output),
    cacheRead,
    cacheWrite,
    reasoning: count(usage.output_tokens_details?.thinking_tokens ?? before?.reasoning),
  };
}

/** The same tokens in the words of chat completions. */
export function chatUsage(tokens: Tokens): ChatUsage {
  return {
    prompt_tokens: tokens.input,
    completion_tokens: tokens.output,
    total_tokens: tokens.input + tokens.output,
    prompt_tokens_details: { cached_tokens: tokens.cacheRead },
    completion_tokens_details: { reasoning_tokens: tokens.reasoning },
  };
}

/** The same tokens in the words of messages. */
export function messageUsage(tokens: Tokens): MessageUsage {
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
