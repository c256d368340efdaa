import type { Tokens } from "../config/prices.ts";
import { ANSWER_TOOL, finishReason } from "./chat-to-messages.ts";
import { asObject } from "./json.ts";
import { chatUsage } from "./tokens.ts";
import type { ChatChunk, ChatDelta, FinishReason, MessageEvent } from "./wire.ts";

/** Where a stream of messages is, on its way into chunks. */
type Progress = {
  /** Stands at the beginning of each chunk. */
  head: Pick<ChatChunk, "id" | "model">;
  /** The block that holds a structured answer; -1 where there is none. */
  structured: number;
  /** Of each block that is a tool call, which call it is. */
  callOf: Map<number, number>;
};

type Told = { delta: ChatDelta; finish_reason?: FinishReason };

/**
 * Turns the events of a messages stream into the chunks of a chat completion, one to none or one; `end` gives the chunk of the
 * usage. `created` is in epoch seconds.
 * @see https://docs.anthropic.com/en/docs/build-with-claude/streaming#event-types
 * @see https://platform.openai.com/docs/api-reference/chat-streaming/streaming
 */
export function messageEventsToChunks(created: number): {
  next: (event: MessageEvent) => ChatChunk[];
  end: (tokens: Tokens) => ChatChunk[];
} {
  const progress: Progress = { head: {}, structured: -1, callOf: new Map() };
  const chunk = (rest: ChatChunk): ChatChunk => ({
    ...progress.head,
    object: "chat.completion.chunk",
    created,
    ...rest,
  });
  return {
    next: (event) => {
      const told = toldBy(event, progress);
      if (told === undefined) return [];
      const { delta, finish_reason = null } = told;
      return [chunk({ choices: [{ index: 0, delta, logprobs: null, finish_reason }] })];
    },
    end: (tokens) => [chunk({ choices: [], usage: chatUsage(tokens) })],
  };
}

function toldBy(event: MessageEvent, progress: Progress): Told | undefined {
  switch (event.type) {
    case "message_start":
      progress.head = { id: event.message?.id, model: event.message?.model };
      return { delta: { role: "assistant", content: "" } };
    case "content_block_start":
      return begun(event, progress);
    case "content_block_delta":
      return added(event, progress);
    case "message_delta": {
      const reason = event.delta?.stop_reason;
      if (!reason) return undefined;
      const { structured, callOf } = progress;
      return { delta: {}, finish_reason: structured >= 0 && callOf.size === 0 ? "stop" : finishReason(reason) };
    }
    case "content_block_stop":
    case "message_stop":
    case undefined:
    case null:
      return undefined;
  }
}

type Of<Type extends string> = Extract<MessageEvent, { type?: Type | null | undefined }>;

function begun({ index, content_block }: Of<"content_block_start">, progress: Progress): Told | undefined {
  if (content_block?.type !== "tool_use") return undefined;
  const { id, name, input } = content_block;
  if (name === ANSWER_TOOL) {
    progress.structured = index ?? 0;
    return undefined;
  }
  const call = progress.callOf.size;
  progress.callOf.set(index ?? 0, call);
  // Whole at once where code of the vendor's has made the call, else in the parts that follow.
  const whole = Object.keys(asObject(input) ?? {}).length > 0 ? JSON.stringify(input) : "";
  return { delta: { tool_calls: [{ index: call, id, type: "function", function: { name, arguments: whole } }] } };
}

function added({ index, delta }: Of<"content_block_delta">, { structured, callOf }: Progress): Told | undefined {
  if (delta?.type === "text_delta") return { delta: { content: delta.text } };
  if (delta?.type !== "input_json_delta") return undefined;
  if (index === structured) return { delta: { content: delta.partial_json } };
  // A tool that the vendor runs by itself has an input too, and is no call of the caller's.
  const call = callOf.get(index ?? 0);
  if (call === undefined) return undefined;
  return { delta: { tool_calls: [{ index: call, function: { arguments: delta.partial_json } }] } };
}
