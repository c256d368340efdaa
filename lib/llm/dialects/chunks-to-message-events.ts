import { stopReason } from "./messages-to-chat.ts";
import { chatTokens, messageUsage } from "./tokens.ts";
import type { ChatChunk, ChatUsage, MessageEvent, StopReason } from "./wire.ts";

type Block =
  | { type: "text"; text: string }
  | { type: "tool_use"; id: string | undefined; name: string | undefined; input: object };
/** The block that is open, and what it says: the text, or the tool call of this number. */
type Open = { index: number; says: "text" | number };

/** Where a stream of chunks is, on its way into events. Blocks are counted from 0, and one at a time is open. */
class Progress {
  begun = false;
  stop: StopReason = "end_turn";
  usage: ChatUsage = {};
  #open: Open | undefined;
  #blocks = 0;

  /** The number of the block that says this, opened where another one is open. */
  open(says: Open["says"], content_block: Block, events: MessageEvent[]): number {
    if (this.#open?.says === says) return this.#open.index;
    this.close(events);
    this.#open = { index: this.#blocks++, says };
    events.push({ type: "content_block_start", index: this.#open.index, content_block });
    return this.#open.index;
  }

  close(events: MessageEvent[]): void {
    if (this.#open !== undefined) events.push({ type: "content_block_stop", index: this.#open.index });
  }
}

/**
 * Turns the chunks of a chat completion stream into the events of a messages stream, one to none or many; `end` gives the last
 * ones, with the usage that came last.
 * @see https://platform.openai.com/docs/api-reference/chat-streaming/streaming
 * @see https://docs.anthropic.com/en/docs/build-with-claude/streaming#event-types
 */
export function chunksToMessageEvents(): { next: (chunk: ChatChunk) => MessageEvent[]; end: () => MessageEvent[] } {
  const progress = new Progress();
  return { next: (chunk) => eventsOf(chunk, progress), end: () => lastEvents(progress) };
}

function eventsOf(chunk: ChatChunk, progress: Progress): MessageEvent[] {
  const events: MessageEvent[] = [];
  if (chunk.usage) progress.usage = chunk.usage;
  if (!progress.begun) events.push(beginning(chunk, progress));
  progress.begun = true;
  const { delta, finish_reason } = chunk.choices?.[0] ?? {};
  const text = delta?.content || delta?.refusal;
  if (text) {
    const index = progress.open("text", { type: "text", text: "" }, events);
    events.push({ type: "content_block_delta", index, delta: { type: "text_delta", text } });
  }
  for (const { id, index: call, function: called } of delta?.tool_calls ?? []) {
    const { name, arguments: partial_json } = called ?? {};
    const block: Block = { type: "tool_use", id: id ?? undefined, name: name ?? undefined, input: {} };
    const index = progress.open(call ?? 0, block, events);
    if (partial_json)
      events.push({ type: "content_block_delta", index, delta: { type: "input_json_delta", partial_json } });
  }
  if (finish_reason) progress.stop = stopReason(finish_reason);
  return events;
}

function beginning({ id, model }: ChatChunk, { usage }: Progress): MessageEvent {
  const message = { type: "message", role: "assistant", stop_reason: null, stop_sequence: null } as const;
  return {
    type: "message_start",
    message: { id, model, ...message, content: [], usage: messageUsage(chatTokens(usage)) },
  };
}

function lastEvents(progress: Progress): MessageEvent[] {
  const events: MessageEvent[] = [];
  progress.close(events);
  const delta = { stop_reason: progress.stop, stop_sequence: null };
  events.push({ type: "message_delta", delta, usage: messageUsage(chatTokens(progress.usage)) });
  events.push({ type: "message_stop" });
  return events;
}
