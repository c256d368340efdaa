// Own, though llm-bridge and @musistudio/llms translate too: both are little used, and the second brings a server with it.
import { dictionary } from "../../input/dictionary.ts";
import type { Model } from "../config/schema.ts";
import { given, readArguments } from "./json.ts";
import { chatUsage, messageTokens } from "./tokens.ts";
import type {
  ChatAnswer,
  ChatPart,
  ChatRequest,
  ChatTurn,
  FinishReason,
  MessageAnswer,
  MessageBlock,
  MessagesRequest,
  MessageTurn,
  StopReason,
} from "./wire.ts";

/** A caller of chat completions, answered by a vendor that speaks messages: the request there, and the answer back. */

/** Structured output is asked for as a tool of this name, whose input becomes the answer's text. */
export const ANSWER_TOOL = "answer_in_json";

/** Anthropic wants a limit with each request; one that names none gets this, in tokens. */
export function givenLimit({ max_output = 4_096 }: Pick<Model, "max_output">): number {
  return Math.min(max_output, 8_192);
}

/**
 * The request in the words of messages: system turns joined into one text, turns of one side joined into one turn, a JSON schema
 * as a tool. What messages cannot say is left out.
 * @see https://docs.anthropic.com/en/api/messages
 */
export function chatRequestToMessages(body: ChatRequest, model: Pick<Model, "id" | "max_output">): MessagesRequest {
  const system: string[] = [];
  const messages: MessageTurn[] = [];
  for (const message of body.messages ?? []) {
    if (message.role === "system" || message.role === "developer") system.push(plainText(message.content));
    else addTurn(messages, turnOf(message));
  }
  if (body.response_format?.type === "json_object") system.push("Answer with one JSON object and nothing else.");
  return given({
    model: model.id,
    max_tokens: body.max_completion_tokens ?? body.max_tokens ?? givenLimit(model),
    system: system.length === 0 ? undefined : system.join("\n\n"),
    messages,
    // Chat completions allow up to 2, messages up to 1.
    temperature: body.temperature == null ? undefined : Math.min(1, body.temperature),
    top_p: body.top_p ?? undefined,
    stop_sequences: body.stop == null ? undefined : [body.stop].flat(),
    stream: body.stream === true ? true : undefined,
    metadata: typeof body.user === "string" ? { user_id: body.user } : undefined,
    ...toolsOf(body),
  });
}

type Tools = Pick<MessagesRequest, "tools" | "tool_choice">;

/** @see https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/implement-tool-use */
function toolsOf(body: ChatRequest): Tools {
  const tools: Tools["tools"] & unknown[] = (body.tools ?? []).flatMap((tool) => {
    if (tool.type !== "function") return [];
    const { name, description, parameters } = tool.function ?? {};
    return [given({ name, description, input_schema: parameters ?? { type: "object", properties: {} } })];
  });
  const format = body.response_format;
  if (format?.type === "json_schema") {
    const { description, schema } = format.json_schema ?? {};
    tools.push({
      name: ANSWER_TOOL,
      description: description ?? "Give the final answer by calling this.",
      input_schema: schema,
    });
    return { tools, tool_choice: tools.length === 1 ? { type: "tool", name: ANSWER_TOOL } : { type: "any" } };
  }
  return tools.length === 0 ? {} : given({ tools, tool_choice: toolChoice(body) });
}

/** @see https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/implement-tool-use#forcing-tool-use */
function toolChoice({ tool_choice: choice, parallel_tool_calls }: ChatRequest): Tools["tool_choice"] {
  const single = parallel_tool_calls === false ? { disable_parallel_tool_use: true } : {};
  if (choice === "none") return { type: "none" };
  if (choice === "required") return { type: "any", ...single };
  const name =
    typeof choice === "object" && choice !== null && "function" in choice ? choice.function?.name : undefined;
  if (name) return { type: "tool", name, ...single };
  return parallel_tool_calls === false ? { type: "auto", ...single } : undefined;
}

function turnOf(message: ChatTurn): MessageTurn {
  if (message.role === "tool") {
    const content = plainText(message.content);
    return { role: "user", content: [{ type: "tool_result", tool_use_id: message.tool_call_id, content }] };
  }
  const content = blocksOf(message.content);
  if (message.role !== "assistant") return { role: "user", content };
  for (const call of message.tool_calls ?? []) {
    const called = "function" in call ? call.function : undefined;
    content.push({ type: "tool_use", id: call.id, name: called?.name, input: readArguments(called?.arguments) });
  }
  return { role: "assistant", content };
}

/** The results of parallel tool calls are one turn there, and turns of one side are joined. */
function addTurn(messages: MessageTurn[], turn: MessageTurn): void {
  const last = messages.at(-1);
  if (turn.content.length === 0) return;
  if (last?.role === turn.role) last.content.push(...turn.content);
  else messages.push(turn);
}

function blocksOf(content: ChatTurn["content"]): MessageBlock[] {
  if (typeof content === "string") return content === "" ? [] : [{ type: "text", text: content }];
  return (content ?? []).flatMap((part): MessageBlock[] => {
    if (part.type === "text") return [{ type: "text", text: part.text }];
    return part.type === "image_url" ? [{ type: "image", source: pictureOf(part) }] : [];
  });
}

/** A picture inside of a data URL goes as its bytes, any other by its URL. */
function pictureOf({ image_url }: Extract<ChatPart, { type?: "image_url" | null | undefined }>) {
  const url = image_url?.url ?? "";
  const [, media_type, data] = /^data:([^;,]+);base64,(.*)$/s.exec(url) ?? [];
  type MediaType = "image/png";
  return data === undefined
    ? ({ type: "url", url } as const)
    : ({ type: "base64", media_type: media_type as MediaType, data } as const);
}

function plainText(content: ChatTurn["content"]): string {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => ("text" in part ? (part.text ?? "") : "")).join("");
}

/**
 * Why a message ended, as chat completions say it. What is not here is `stop`.
 * @see https://docs.anthropic.com/en/api/handling-stop-reasons
 * @see https://platform.openai.com/docs/api-reference/chat/object
 */
const FINISH_REASONS: Partial<Record<StopReason, FinishReason>> = dictionary<FinishReason>({
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  tool_use: "tool_calls",
  refusal: "content_filter",
  model_context_window_exceeded: "length",
});

/** The finish reason for a stop reason; `stop` where there is none or none that we know. */
export function finishReason(reason: StopReason | null | undefined): FinishReason {
  return (reason == null ? undefined : FINISH_REASONS[reason]) ?? "stop";
}

/** A message as a chat completion, `created` in epoch seconds. */
export function messageToChat(message: MessageAnswer, created: number): ChatAnswer {
  const blocks = message.content ?? [];
  const calls = blocks.flatMap((block) => (block.type === "tool_use" ? [block] : []));
  const structured = calls.find(({ name }) => name === ANSWER_TOOL);
  const text = structured
    ? JSON.stringify(structured.input)
    : blocks.map((block) => (block.type === "text" ? (block.text ?? "") : "")).join("");
  const tool_calls = calls
    .filter((call) => call !== structured)
    .map(({ id, name, input }) => ({
      id,
      type: "function" as const,
      function: { name, arguments: JSON.stringify(input) },
    }));
  return {
    id: message.id,
    object: "chat.completion",
    created,
    model: message.model,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: text === "" && tool_calls.length > 0 ? null : text,
          refusal: null,
          ...(tool_calls.length > 0 ? { tool_calls } : {}),
        },
        logprobs: null,
        finish_reason: structured && tool_calls.length === 0 ? "stop" : finishReason(message.stop_reason),
      },
    ],
    usage: chatUsage(messageTokens(message.usage ?? {}, undefined)),
  };
}
