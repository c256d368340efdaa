import { given, type Json, readArguments } from "./json.ts";
import { chatTokens, messageUsage } from "./watch.ts";

/** A caller of messages, answered by a vendor that speaks chat completions: the request there, the answer and the stream back. */

export function messagesRequestToChat(body: Json, model: { id: string; provider: { local: boolean } }): Json {
  const messages: Json[] = [];
  const system = textOf(body["system"]);
  if (system !== "") messages.push({ role: "system", content: system });
  for (const message of (body["messages"] ?? []) as Json[]) messages.push(...turnsOf(message));
  const tools = (body["tools"] ?? []) as Json[];
  const schema = (body["output_config"]?.format ?? body["output_format"])?.schema;
  const choice = body["tool_choice"];
  return given({
    model: model.id,
    messages,
    // The name that local servers know; OpenAI's newer models take the other one alone.
    [model.provider.local ? "max_tokens" : "max_completion_tokens"]: body["max_tokens"],
    temperature: body["temperature"],
    top_p: body["top_p"],
    stop: body["stop_sequences"],
    stream: body["stream"] === true ? true : undefined,
    user: body["metadata"]?.user_id,
    tools:
      tools.length === 0
        ? undefined
        : tools.map(({ name, description, input_schema }) => ({
            type: "function",
            function: given({ name, description, parameters: input_schema }),
          })),
    tool_choice: choice === undefined ? undefined : toolChoice(choice),
    parallel_tool_calls: choice?.disable_parallel_tool_use === true ? false : undefined,
    response_format:
      schema === undefined ? undefined : { type: "json_schema", json_schema: { name: "answer", strict: true, schema } },
  });
}

function toolChoice(choice: Json): unknown {
  if (choice["type"] === "any") return "required";
  if (choice["type"] === "tool") return { type: "function", function: { name: choice["name"] } };
  return choice["type"] === "none" ? "none" : "auto";
}

function turnsOf(message: Json): Json[] {
  const { role, content } = message;
  if (typeof content === "string") return [{ role, content }];
  const blocks = (content ?? []) as Json[];
  const results = blocks
    .filter((block) => block["type"] === "tool_result")
    .map((block) => ({ role: "tool", tool_call_id: block["tool_use_id"], content: textOf(block["content"]) }));
  const tool_calls = blocks
    .filter((block) => block["type"] === "tool_use")
    .map(({ id, name, input }) => ({
      id,
      type: "function",
      function: { name, arguments: JSON.stringify(input ?? {}) },
    }));
  const parts = blocks.flatMap(partOf);
  const onlyText = parts.every((part) => part["type"] === "text");
  const told = onlyText ? parts.map((part) => part["text"]).join("") : parts;
  if (role === "assistant") {
    return [{ role, content: told.length === 0 ? null : told, ...(tool_calls.length > 0 ? { tool_calls } : {}) }];
  }
  return parts.length === 0 ? results : [...results, { role, content: told }];
}

function partOf(block: Json): Json[] {
  if (block["type"] === "text") return [{ type: "text", text: block["text"] }];
  if (block["type"] !== "image") return [];
  const { type, url, media_type, data } = block["source"] ?? {};
  return [{ type: "image_url", image_url: { url: type === "url" ? url : `data:${media_type};base64,${data}` } }];
}

function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  return ((content ?? []) as Json[]).map((block) => block["text"] ?? "").join("");
}

const STOP: Record<string, string> = {
  stop: "end_turn",
  length: "max_tokens",
  tool_calls: "tool_use",
  content_filter: "refusal",
};

/** A chat completion as a message. */
export function chatToMessage(answer: Json): Json {
  const choice = (answer["choices"]?.[0] ?? {}) as Json;
  const { content, refusal, tool_calls = [] } = choice["message"] ?? {};
  const text = content || refusal || "";
  const blocks: Json[] = text === "" ? [] : [{ type: "text", text, citations: null }];
  for (const { id, function: called } of tool_calls ?? []) {
    blocks.push({ type: "tool_use", id, name: called.name, input: readArguments(called.arguments) });
  }
  return {
    id: answer["id"],
    type: "message",
    role: "assistant",
    model: answer["model"],
    content: blocks,
    stop_reason: STOP[choice["finish_reason"]] ?? "end_turn",
    stop_sequence: null,
    usage: messageUsage(chatTokens(answer["usage"] ?? {})),
  };
}

/** Turns the chunks of a chat completion stream into events; `end` gives the last ones, with the usage that came last. */
export function chunksToMessageEvents(): { next: (chunk: Json) => Json[]; end: () => Json[] } {
  let begun = false;
  let open: { index: number; call: number } | undefined;
  let index = -1;
  let stop = "end_turn";
  let usage: Json = {};
  const close = (): Json[] => (open === undefined ? [] : [{ type: "content_block_stop", index: open.index }]);
  const openBlock = (call: number, content_block: Json): Json[] => {
    if (open?.call === call) return [];
    const events = [...close(), { type: "content_block_start", index: ++index, content_block }];
    open = { index, call };
    return events;
  };
  const next = (chunk: Json): Json[] => {
    const events: Json[] = [];
    if (chunk["usage"]) usage = chunk["usage"];
    if (!begun) {
      begun = true;
      const message = { type: "message", role: "assistant", content: [], stop_reason: null, stop_sequence: null };
      const start = { id: chunk["id"], model: chunk["model"], ...message, usage: messageUsage(chatTokens(usage)) };
      events.push({ type: "message_start", message: start });
    }
    const choice = (chunk["choices"]?.[0] ?? {}) as Json;
    const { content, refusal, tool_calls } = choice["delta"] ?? {};
    const text = content || refusal;
    if (text) {
      events.push(...openBlock(-1, { type: "text", text: "" }));
      events.push({ type: "content_block_delta", index, delta: { type: "text_delta", text } });
    }
    for (const call of (tool_calls ?? []) as Json[]) {
      const { name, arguments: partial_json } = call["function"] ?? {};
      events.push(...openBlock(call["index"] ?? 0, { type: "tool_use", id: call["id"], name, input: {} }));
      if (partial_json)
        events.push({ type: "content_block_delta", index, delta: { type: "input_json_delta", partial_json } });
    }
    if (choice["finish_reason"]) stop = STOP[choice["finish_reason"]] ?? "end_turn";
    return events;
  };
  const end = () => [
    ...close(),
    {
      type: "message_delta",
      delta: { stop_reason: stop, stop_sequence: null },
      usage: messageUsage(chatTokens(usage)),
    },
    { type: "message_stop" },
  ];
  return { next, end };
}
