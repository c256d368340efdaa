import type {
  ContentBlockParam,
  MessageCreateParamsNonStreaming,
  Message as MessageObject,
  RawMessageStreamEvent,
  StopReason,
} from "@anthropic-ai/sdk/resources/messages";
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionContentPart,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionMessageParam,
} from "openai/resources/chat/completions";

// The two dialects as the vendors publish them with their SDKs: types alone, of which nothing is left when it runs.

/**
 * A published shape, of which nothing is promised: each field may be missing or null, as what a caller or a vendor sends is read
 * before anybody has checked it. Fields that the shape does not name are not in the type; code that hands them on takes it `& Json`.
 */
export type Lax<T> = T extends string | number | boolean
  ? T
  : T extends readonly (infer Entry)[]
    ? Lax<Entry>[]
    : T extends object
      ? { [Name in keyof T]?: Lax<T[Name]> | null | undefined }
      : T;

/** Of both requests: whether the answer is wanted as a stream. */
type Streamed<T> = Omit<T, "stream"> & { stream?: boolean };

/** @see https://platform.openai.com/docs/api-reference/chat/create */
export type ChatRequest = Lax<Streamed<ChatCompletionCreateParamsNonStreaming>>;
export type ChatTurn = Lax<ChatCompletionMessageParam>;
export type ChatPart = Lax<ChatCompletionContentPart>;

/** @see https://platform.openai.com/docs/api-reference/chat/object */
export type ChatAnswer = Lax<ChatCompletion>;
export type FinishReason = ChatCompletion.Choice["finish_reason"];

/** @see https://platform.openai.com/docs/api-reference/chat-streaming/streaming */
export type ChatChunk = Lax<ChatCompletionChunk>;
export type ChatDelta = Lax<ChatCompletionChunk.Choice.Delta>;
export type ChatUsage = Lax<NonNullable<ChatCompletion["usage"]>>;

/** @see https://docs.anthropic.com/en/api/messages */
export type MessagesRequest = Lax<Streamed<MessageCreateParamsNonStreaming> & NoLongerNamed>;
/** What older models take, and the SDK does not name any more. */
type NoLongerNamed = { temperature?: number; top_p?: number; output_format?: { type: "json_schema"; schema: object } };
export type MessageTurn = { role: "user" | "assistant"; content: MessageBlock[] };
export type MessageBlock = Lax<ContentBlockParam>;
export type MessageAnswer = Lax<MessageObject>;
export type MessageUsage = Lax<MessageObject["usage"]>;
export type { StopReason };

/** @see https://docs.anthropic.com/en/docs/build-with-claude/streaming */
export type MessageEvent = Lax<RawMessageStreamEvent>;
