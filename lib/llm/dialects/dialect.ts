import type { Model } from "../config/schema.ts";
import { chatRequestToMessages, messageToChat } from "./chat-to-messages.ts";
import { chunksToMessageEvents } from "./chunks-to-message-events.ts";
import type { Json } from "./json.ts";
import { messageEventsToChunks } from "./message-events-to-chunks.ts";
import { chatToMessage, messagesRequestToChat } from "./messages-to-chat.ts";
import { chatTokens, messageTokens } from "./tokens.ts";
import { type Watch, watchChunk, watchMessageEvent } from "./watch.ts";
import type { ChatAnswer, ChatChunk, ChatRequest, MessageAnswer } from "./wire.ts";

/** How the caller speaks; a vendor speaks `chat` or `messages`. */
export type Dialect = "chat" | "messages" | "embeddings";

/** One event for the caller: named in messages, unnamed in chat completions. */
export type OutEvent = { event?: string; data: Json };

/**
 * What lies between a caller of one dialect and a vendor of another; nothing is touched where they speak the same. This is where
 * JSON of which nothing is known is taken for what its dialect says.
 */
export type Bridge = {
  path: string;
  request: (body: Json, model: Model) => Json;
  /** The answer for the caller; undefined where the vendor's own text can go as it is. `created` is in epoch seconds. */
  answer: (answer: Json, created: number) => Json | undefined;
  /** The vendor's event for the caller, one to none or many. */
  stream: (created: number) => { next: (event: Json, watch: Watch) => OutEvent[]; end: (watch: Watch) => OutEvent[] };
  watch: (watch: Watch, event: Json) => void;
  /** Reads tokens and model off a whole answer; false where it is none. */
  read: (answer: Json, watch: Watch) => boolean;
};

/** The bridge for a caller and a model's vendor. `wantsUsage` is whether the caller asked for usage in the stream. */
export function bridge(caller: Dialect, model: Model, wantsUsage: boolean): Bridge {
  const vendor = model.provider.type === "anthropic" ? "messages" : "chat";
  if (caller === "embeddings") return embeddings;
  if (vendor === "chat") return caller === "chat" ? chatToChat(wantsUsage) : messagesToChat;
  return caller === "messages" ? messagesToMessages : chatToMessages(wantsUsage);
}

const same = { answer: () => undefined };
const unnamed = (data: Json): OutEvent => ({ data });
const named = (data: Json): OutEvent => ({ event: String(data["type"]), data });

const chatVendor = {
  path: "/chat/completions",
  watch: watchChunk,
  read: (answer: ChatAnswer, watch: Watch) => {
    if (typeof answer.model === "string" && answer.model !== "") watch.model = answer.model;
    if (answer.usage) watch.tokens = chatTokens(answer.usage);
    const choice = answer.choices?.[0];
    watch.outChars = JSON.stringify(choice?.message ?? "").length;
    // A vendor that says that it has not ended (null) has not; one that says nothing of it is believed.
    return choice?.message !== undefined && choice.finish_reason !== null;
  },
};

const messagesVendor = {
  path: "/v1/messages",
  watch: watchMessageEvent,
  read: (answer: MessageAnswer, watch: Watch) => {
    if (typeof answer.model === "string" && answer.model !== "") watch.model = answer.model;
    if (answer.usage) watch.tokens = messageTokens(answer.usage, undefined);
    watch.outChars = JSON.stringify(answer.content ?? "").length;
    return Array.isArray(answer.content) && answer.stop_reason !== null;
  },
};

/** @see https://platform.openai.com/docs/api-reference/embeddings */
const embeddings: Bridge = {
  ...same,
  path: "/embeddings",
  request: (body, model) => ({ ...body, model: model.id }),
  watch: () => {},
  read: (answer, watch) => {
    if (typeof answer["model"] === "string" && answer["model"] !== "") watch.model = answer["model"];
    if (answer["usage"]) watch.tokens = chatTokens(answer["usage"]);
    return Array.isArray(answer["data"]);
  },
  stream: () => ({ next: () => [], end: () => [] }),
};

function chatToChat(wantsUsage: boolean): Bridge {
  return {
    ...chatVendor,
    ...same,
    request: (body, model) => asVendorTakes(body, model),
    // Clients that did not ask for usage may not expect a chunk without choices.
    stream: () => ({
      next: (chunk) => (!wantsUsage && (chunk as ChatChunk).choices?.length === 0 ? [] : [unnamed(chunk)]),
      end: () => [],
    }),
  };
}

function asVendorTakes(body: ChatRequest & Json, model: Model): Json {
  const sent: ChatRequest & Json = { ...body, model: model.id };
  if (body.stream === true) sent.stream_options = { ...body.stream_options, include_usage: true };
  // The newer models of OpenAI refuse the old name.
  if (!model.provider.local && /^(gpt-5|o\d)/.test(model.id) && body.max_tokens != null) {
    sent.max_completion_tokens = body.max_completion_tokens ?? body.max_tokens;
    delete sent.max_tokens;
  }
  return sent;
}

const messagesToMessages: Bridge = {
  ...messagesVendor,
  ...same,
  request: (body, model) => ({ ...body, model: model.id }),
  // A vendor that has said why it stopped may still leave out the last event, which clients wait for.
  stream: () => ({
    next: (event) => [named(event)],
    end: (watch) => (watch.done ? [] : [named({ type: "message_stop" })]),
  }),
};

function chatToMessages(wantsUsage: boolean): Bridge {
  return {
    ...messagesVendor,
    request: chatRequestToMessages,
    answer: messageToChat,
    stream: (created) => {
      const translate = messageEventsToChunks(created);
      return {
        next: (event) => translate.next(event).map(unnamed),
        end: ({ tokens }) => (wantsUsage && tokens !== undefined ? translate.end(tokens).map(unnamed) : []),
      };
    },
  };
}

const messagesToChat: Bridge = {
  ...chatVendor,
  request: (body, model) => {
    const sent = messagesRequestToChat(body, model);
    if (sent.stream === true) sent.stream_options = { include_usage: true };
    return sent;
  },
  answer: chatToMessage,
  stream: () => {
    const translate = chunksToMessageEvents();
    return {
      next: (chunk) => translate.next(chunk).map(named),
      end: () => translate.end().map(named),
    };
  },
};

/** A whole chat completion as the chunks of a stream, for a vendor that answered whole. */
export function chunksOf(answer: ChatAnswer): ChatChunk[] {
  const { id, created, model, usage, choices } = answer;
  const head = { id, object: "chat.completion.chunk" as const, created, model };
  const { message, finish_reason = "stop" } = choices?.[0] ?? {};
  const tool_calls = message?.tool_calls?.map((call, index) => ({ ...call, index }));
  const delta = { role: "assistant", content: message?.content ?? "", ...(tool_calls ? { tool_calls } : {}) };
  return [
    { ...head, choices: [{ index: 0, delta, finish_reason: null }] },
    { ...head, choices: [{ index: 0, delta: {}, finish_reason }] },
    ...(usage ? [{ ...head, choices: [], usage }] : []),
  ] as ChatChunk[];
}
