// Own, though llm-bridge and @musistudio/llms translate too: both are little used, and the second brings a server with it.
import { dictionary } from "../../input/dictionary.ts";
import { at, given, type Json, readArguments } from "./json.ts";
import { chatTokens, messageUsage } from "./tokens.ts";
import type {
  ChatAnswer,
  ChatPart,
  ChatRequest,
  ChatTurn,
  FinishReason,
  MessageAnswer,
  MessageBlock,
  MessagesRequest,
  StopReason,
} from "./wire.ts";

/** A caller of messages, answered by a vendor that speaks chat completions: the request there, and the answer back. */

/**
 * The request in the words of chat completions: the system text as a first turn, each tool result as a turn of its own. What chat
 * completions cannot say is left out.
 * @see https://platform.openai.com/docs/api-reference/chat/create
 */
export function messagesRequestToChat(
  body: MessagesRequest,
  model: { id: string; provider: { local: boolean } },
): ChatRequest {
  const system = textOf(body.system);
  const tools = body.tools ?? [];
  return given({
    model: model.id,
    messages: [
      ...(system === "" ? [] : [{ role: "system" as const, content: system }]),
      ...(body.messages ?? []).flatMap(turnsOf),
    ],
    // The name that local servers know; OpenAI's newer models take the other one alone.
    [model.provider.local ? "max_tokens" : "max_completion_tokens"]: body.max_tokens,
    temperature: body.temperature,
    top_p: body.top_p,
    stop: body.stop_sequences,
    stream: body.stream === true ? true : undefined,
    user: body.metadata?.user_id,
    tools: tools.length === 0 ? undefined : tools.map((tool) => toolOf(tool as Json)),
    tool_choice: toolChoice(body.tool_choice),
    parallel_tool_calls: at(body.tool_choice, "disable_parallel_tool_use") === true ? false : undefined,
    response_format: responseFormat(body),
  });
}

function toolOf({ name, description, input_schema }: Json): NonNullable<ChatRequest["tools"]>[number] {
  return {
    type: "function",
    function: given({ name: name as string, description: description as string, parameters: input_schema as Json }),
  };
}

/** @see https://platform.openai.com/docs/guides/structured-outputs */
function responseFormat(body: MessagesRequest): ChatRequest["response_format"] {
  const format = body.output_config?.format ?? body.output_format;
  const schema = at(format, "schema");
  if (schema === undefined) return undefined;
  return { type: "json_schema", json_schema: { name: "answer", strict: true, schema: schema as Json } };
}

/** @see https://platform.openai.com/docs/guides/function-calling#tool-choice */
function toolChoice(choice: MessagesRequest["tool_choice"]): ChatRequest["tool_choice"] {
  if (choice === undefined || choice === null) return undefined;
  if (choice.type === "any") return "required";
  if (choice.type === "tool") return { type: "function", function: { name: choice.name } };
  return choice.type === "none" ? "none" : "auto";
}

/** A turn of the caller's: its tool results first, each alone, then what it says. */
function turnsOf({ role, content }: NonNullable<MessagesRequest["messages"]>[number]): ChatTurn[] {
  if (typeof content === "string") return [{ role, content }];
  const blocks = content ?? [];
  const parts = blocks.flatMap(partOf);
  const texts = parts.flatMap((part) => (part.type === "text" ? [part.text] : []));
  const told = texts.length === parts.length ? texts.join("") : parts;
  if (role === "assistant") {
    const tool_calls = blocks.flatMap(callOf);
    return [
      { role, content: told.length === 0 ? null : told, ...(tool_calls.length > 0 ? { tool_calls } : {}) } as ChatTurn,
    ];
  }
  const results = blocks.flatMap(resultOf);
  return parts.length === 0 ? results : [...results, { role, content: told } as ChatTurn];
}

function resultOf(block: MessageBlock): ChatTurn[] {
  if (block.type !== "tool_result") return [];
  return [{ role: "tool", tool_call_id: block.tool_use_id, content: textOf(block.content) }];
}

function callOf(block: MessageBlock) {
  if (block.type !== "tool_use") return [];
  const { id, name, input } = block;
  return [{ id, type: "function" as const, function: { name, arguments: JSON.stringify(input ?? {}) } }];
}

function partOf(block: MessageBlock): ChatPart[] {
  if (block.type === "text") return [{ type: "text", text: block.text }];
  if (block.type !== "image") return [];
  const { type, url, media_type, data } = (block.source ?? {}) as Record<string, string>;
  const address = type === "url" ? url : `data:${media_type};base64,${data}`;
  return [{ type: "image_url", image_url: { url: address } }];
}

/** The text of a text, or of the parts of a list, joined. */
function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  const texts = ((content ?? []) as unknown[]).map((block) => at(block, "text"));
  return texts.filter((text) => typeof text === "string").join("");
}

/**
 * Why a chat completion ended, as messages say it. What is not here is `end_turn`.
 * @see https://platform.openai.com/docs/api-reference/chat/object
 * @see https://docs.anthropic.com/en/api/handling-stop-reasons
 */
const STOP_REASONS: Partial<Record<FinishReason, StopReason>> = dictionary<StopReason>({
  stop: "end_turn",
  length: "max_tokens",
  tool_calls: "tool_use",
  content_filter: "refusal",
});

/** The stop reason for a finish reason; `end_turn` where there is none or none that we know. */
export function stopReason(reason: FinishReason | null | undefined): StopReason {
  return (reason == null ? undefined : STOP_REASONS[reason]) ?? "end_turn";
}

/** A chat completion as a message: its first choice, the text before the tool calls. */
export function chatToMessage(answer: ChatAnswer): MessageAnswer {
  const choice = answer.choices?.[0] ?? {};
  const { content, refusal, tool_calls } = choice.message ?? {};
  const text = content || refusal || "";
  const blocks: NonNullable<MessageAnswer["content"]> = text === "" ? [] : [{ type: "text", text, citations: null }];
  for (const call of tool_calls ?? []) {
    const { name, arguments: input } = ("function" in call ? call.function : undefined) ?? {};
    blocks.push({ type: "tool_use", id: call.id, name, input: readArguments(input) });
  }
  return {
    id: answer.id,
    type: "message",
    role: "assistant",
    model: answer.model,
    content: blocks,
    stop_reason: stopReason(choice.finish_reason),
    stop_sequence: null,
    usage: messageUsage(chatTokens(answer.usage ?? {})),
  };
}
