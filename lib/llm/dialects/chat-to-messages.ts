import type { Model } from "../config/schema.ts";
import { givenLimit } from "../routing/needs.ts";
import { given, type Json, readArguments } from "./json.ts";
import { chatUsage, messageTokens } from "./watch.ts";

/** A caller of chat completions, answered by a vendor that speaks messages: the request there, the answer and the stream back. */

/** Structured output is asked for as a tool of this name, whose input becomes the answer's text. */
export const ANSWER_TOOL = "answer_in_json";

export function chatRequestToMessages(body: Json, model: Pick<Model, "id" | "max_output">): Json {
  const system: string[] = [];
  const messages: Json[] = [];
  for (const message of (body["messages"] ?? []) as Json[]) {
    if (message["role"] === "system" || message["role"] === "developer") system.push(plainText(message["content"]));
    else addTurn(messages, turnOf(message));
  }
  const format = body["response_format"]?.type;
  if (format === "json_object") system.push("Answer with one JSON object and nothing else.");
  return given({
    model: model.id,
    max_tokens: body["max_completion_tokens"] ?? body["max_tokens"] ?? givenLimit(model),
    system: system.length === 0 ? undefined : system.join("\n\n"),
    messages,
    temperature: body["temperature"] == null ? undefined : Math.min(1, body["temperature"]),
    top_p: body["top_p"] ?? undefined,
    stop_sequences: body["stop"] == null ? undefined : [body["stop"]].flat(),
    stream: body["stream"] === true ? true : undefined,
    metadata: typeof body["user"] === "string" ? { user_id: body["user"] } : undefined,
    ...toolsOf(body, format),
  });
}

function toolsOf(body: Json, format: unknown): Json {
  const tools: Json[] = ((body["tools"] ?? []) as Json[])
    .filter((tool) => tool["type"] === "function")
    .map(({ function: named }) =>
      given({
        name: named.name,
        description: named.description,
        input_schema: named.parameters ?? { type: "object", properties: {} },
      }),
    );
  if (format === "json_schema") {
    const { description, schema } = body["response_format"].json_schema;
    tools.push({
      name: ANSWER_TOOL,
      description: description ?? "Give the final answer by calling this.",
      input_schema: schema,
    });
    const tool_choice = tools.length === 1 ? { type: "tool", name: ANSWER_TOOL } : { type: "any" };
    return { tools, tool_choice };
  }
  if (tools.length === 0) return {};
  const choice = body["tool_choice"];
  const parallel = body["parallel_tool_calls"] === false ? { disable_parallel_tool_use: true } : {};
  if (choice === "none") return { tools, tool_choice: { type: "none" } };
  if (choice === "required") return { tools, tool_choice: { type: "any", ...parallel } };
  if (choice?.function?.name) return { tools, tool_choice: { type: "tool", name: choice.function.name, ...parallel } };
  return parallel.disable_parallel_tool_use ? { tools, tool_choice: { type: "auto", ...parallel } } : { tools };
}

function turnOf(message: Json): Json {
  if (message["role"] === "tool") {
    const result = {
      type: "tool_result",
      tool_use_id: message["tool_call_id"],
      content: plainText(message["content"]),
    };
    return { role: "user", content: [result] };
  }
  const content = partsOf(message["content"]);
  for (const call of (message["tool_calls"] ?? []) as Json[]) {
    content.push({
      type: "tool_use",
      id: call["id"],
      name: call["function"].name,
      input: readArguments(call["function"].arguments),
    });
  }
  return { role: message["role"] === "assistant" ? "assistant" : "user", content };
}

/** The results of parallel tool calls are one turn there, and turns of one side are joined. */
function addTurn(messages: Json[], turn: Json): void {
  const last = messages.at(-1);
  if (turn["content"].length === 0) return;
  if (last?.["role"] === turn["role"]) last?.["content"].push(...turn["content"]);
  else messages.push(turn);
}

function partsOf(content: unknown): Json[] {
  if (typeof content === "string") return content === "" ? [] : [{ type: "text", text: content }];
  return ((content ?? []) as Json[]).flatMap((part): Json[] => {
    if (part["type"] === "text") return [{ type: "text", text: part["text"] }];
    if (part["type"] !== "image_url") return [];
    const url = String(part["image_url"]?.url ?? "");
    const [, media_type, data] = /^data:([^;,]+);base64,(.*)$/s.exec(url) ?? [];
    return [
      { type: "image", source: data === undefined ? { type: "url", url } : { type: "base64", media_type, data } },
    ];
  });
}

function plainText(content: unknown): string {
  if (typeof content === "string") return content;
  return ((content ?? []) as Json[]).map((part) => part["text"] ?? "").join("");
}

const FINISH: Record<string, string> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  tool_use: "tool_calls",
  refusal: "content_filter",
  model_context_window_exceeded: "length",
};

/** A message as a chat completion. */
export function messageToChat(message: Json, created: number): Json {
  const blocks = (message["content"] ?? []) as Json[];
  const structured = blocks.find((block) => block["type"] === "tool_use" && block["name"] === ANSWER_TOOL);
  const text = structured ? JSON.stringify(structured["input"]) : blocks.map((block) => block["text"] ?? "").join("");
  const tool_calls = blocks
    .filter((block) => block["type"] === "tool_use" && block !== structured)
    .map(({ id, name, input }) => ({ id, type: "function", function: { name, arguments: JSON.stringify(input) } }));
  const finish = structured && tool_calls.length === 0 ? "stop" : (FINISH[message["stop_reason"]] ?? "stop");
  return {
    id: message["id"],
    object: "chat.completion",
    created,
    model: message["model"],
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
        finish_reason: finish,
      },
    ],
    usage: chatUsage(messageTokens(message["usage"] ?? {}, undefined)),
  };
}

/** Turns the events of a messages stream into chunks, one by one. */
export function messageEventsToChunks(created: number): (event: Json) => Json[] {
  let head: Json = {};
  let structured = -1;
  let calls = 0;
  const callOf = new Map<number, number>();
  const chunk = (delta: Json, finish_reason: string | null = null): Json[] => [
    {
      ...head,
      object: "chat.completion.chunk",
      created,
      choices: [{ index: 0, delta, logprobs: null, finish_reason }],
    },
  ];
  return (event) => {
    switch (event["type"]) {
      case "message_start":
        head = { id: event["message"]?.id, model: event["message"]?.model };
        return chunk({ role: "assistant", content: "" });
      case "content_block_start": {
        const { type, id, name } = event["content_block"] ?? {};
        if (type !== "tool_use") return [];
        if (name === ANSWER_TOOL) {
          structured = event["index"];
          return [];
        }
        callOf.set(event["index"], calls);
        return chunk({ tool_calls: [{ index: calls++, id, type: "function", function: { name, arguments: "" } }] });
      }
      case "content_block_delta": {
        const { type, text, partial_json } = event["delta"] ?? {};
        if (type === "text_delta") return chunk({ content: text });
        if (type !== "input_json_delta") return [];
        if (event["index"] === structured) return chunk({ content: partial_json });
        return chunk({
          tool_calls: [{ index: callOf.get(event["index"]) ?? 0, function: { arguments: partial_json } }],
        });
      }
      case "message_delta": {
        const reason = event["delta"]?.stop_reason;
        if (!reason) return [];
        return chunk({}, structured >= 0 && calls === 0 ? "stop" : (FINISH[reason] ?? "stop"));
      }
      default:
        return [];
    }
  };
}
