import type { Capability, Model } from "../config/schema.ts";
import { givenLimit } from "../dialects/chat-to-messages.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { at, type Json } from "../dialects/json.ts";
import type { Needs } from "./rules.ts";

/** What a request needs of the model that answers it. */
export function needsOf(dialect: Dialect, body: Json, localOnly: boolean): Needs {
  const can: Capability[] = [];
  if (dialect === "embeddings") can.push("embeddings");
  if (Array.isArray(body["tools"]) && body["tools"].length > 0) can.push("tools");
  const schema =
    at(body, "response_format", "type") === "json_schema" ||
    at(body, "output_config", "format") ||
    body["output_format"];
  if (schema) can.push("json_schema");
  if (showsPictures(body)) can.push("vision");
  // Five characters a token: an estimate that is too high would refuse what fits.
  return { can, tokens: Math.ceil(inputChars(body) / 5), localOnly };
}

/** Characters of what is read by the model; a picture counts as 4,000. */
export function inputChars(body: Json): number {
  let chars = typeof body["system"] === "string" ? body["system"].length : 0;
  for (const message of turns(body)) {
    const { content } = message;
    if (typeof content === "string") chars += content.length;
    else if (Array.isArray(content)) for (const part of content) chars += charsOf(part as Json);
    if (Array.isArray(message["tool_calls"])) chars += JSON.stringify(message["tool_calls"]).length;
  }
  if (Array.isArray(body["tools"])) chars += JSON.stringify(body["tools"]).length;
  const { input } = body;
  if (typeof input === "string") chars += input.length;
  else if (Array.isArray(input)) chars += JSON.stringify(input).length;
  return chars;
}

function charsOf(part: Json): number {
  if (isPicture(part)) return 4_000;
  if (typeof part["text"] === "string") return part["text"].length;
  return JSON.stringify(part ?? "").length;
}

function showsPictures(body: Json): boolean {
  return turns(body).some(({ content }) => Array.isArray(content) && content.some((part) => isPicture(part as Json)));
}

function turns(body: Json): Json[] {
  return Array.isArray(body["messages"])
    ? body["messages"].filter((turn) => turn !== null && typeof turn === "object")
    : [];
}

function isPicture(part: Json): boolean {
  return part?.["type"] === "image_url" || part?.["type"] === "image";
}

/** The most output that a request may ask of a model, in tokens, over all the answers that it wants. */
export function outputLimit(body: Json, model: Pick<Model, "max_output" | "provider">): number {
  const asked = body["max_completion_tokens"] ?? body["max_tokens"];
  const answers = typeof body["n"] === "number" && body["n"] > 1 ? body["n"] : 1;
  if (typeof asked === "number" && asked > 0) return answers * asked;
  return answers * (model.provider.type === "anthropic" ? givenLimit(model) : (model.max_output ?? 4_096));
}
