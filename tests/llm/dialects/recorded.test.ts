import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { expect, test } from "vitest";
import type { Model } from "../../../lib/llm/config/schema.ts";
import { bridge, type Dialect } from "../../../lib/llm/dialects/dialect.ts";
import { parseObject } from "../../../lib/llm/dialects/json.ts";
import { sseReader, sseText } from "../../../lib/llm/dialects/sse.ts";
import { newWatch } from "../../../lib/llm/dialects/watch.ts";

// What vendors really said: answers and streams that were recorded of Anthropic, DeepSeek and Azure, as published in the
// sources of the packages below, one event a line. They go through our reader and our dialects, and what comes out is read by
// the official clients.

type Caller = Exclude<Dialect, "embeddings">;
type Recording = { name: string; vendor: Caller; lines: any[] };
/** What a recording says, or what a client got of it. */
type Said = { text: string; calls: { name: string; input: unknown }[]; output: number };

const recordings = (packageName: string, folder: string, vendor: Caller): Recording[] => {
  const root = fileURLToPath(new URL(".", import.meta.resolve(`${packageName}/package.json`)));
  const at = join(root, "src", folder, "__fixtures__");
  return readdirSync(at).map((name) => {
    const text = readFileSync(join(at, name), "utf8");
    const lines = name.endsWith(".json") ? [text] : text.split("\n").filter((line) => line.trim() !== "");
    const events = lines.map((line) => JSON.parse(line));
    // Some files hold the answers of several calls in a row: the first is taken.
    const end = events.findIndex(({ type }) => type === "message_stop");
    return { name, vendor, lines: end < 0 ? events : events.slice(0, end + 1) };
  });
};
const all = [
  ...recordings("@ai-sdk/anthropic", "", "messages"),
  ...recordings("@ai-sdk/deepseek", "chat", "chat"),
  ...recordings("@ai-sdk/openai", "chat", "chat"),
];
const by = (ending: string) =>
  all
    .filter(({ name }) => name.endsWith(ending))
    .flatMap((recording) =>
      (["chat", "messages"] as const).map((caller) => [recording.name, caller, recording] as const),
    );

const bridgeFor = (caller: Caller, vendor: Caller) => {
  const type = vendor === "messages" ? "anthropic" : "openai";
  const provider = { name: "p", type, base_url: "http://x", local: false, optional: false, headers: {} } as const;
  const model: Model = { name: "m", id: "m", window: 1, can: [], price: 0, timeouts: {}, provider };
  return bridge(caller, model, true);
};

/** The bytes of a stream, some at a time, as its vendor sends them. */
function* sent({ vendor, lines }: Recording) {
  const text = lines.map((line) => sseText(vendor === "messages" ? line.type : undefined, line)).join("");
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += 1_000) yield bytes.subarray(at, at + 1_000);
}

/** The stream as its caller gets it. */
function given(recording: Recording, caller: Caller) {
  const { watch: look, stream } = bridgeFor(caller, recording.vendor);
  const translate = stream(1);
  const watch = newWatch();
  const reader = sseReader();
  const out: string[] = [];
  for (const bytes of sent(recording)) {
    for (const { data } of reader.push(bytes)) {
      const event = parseObject(data) ?? {};
      look(watch, event);
      out.push(...translate.next(event, watch).map((one) => sseText(one.event, one.data)));
    }
  }
  out.push(...translate.end(watch).map((one) => sseText(one.event, one.data)));
  if (caller === "chat") out.push(sseText(undefined, "[DONE]"));
  return { text: out.join(""), watch };
}

const inputOf = (text: string): unknown => (text === "" ? {} : JSON.parse(text));

/** Read off the recording itself, not by our code. */
function saidInMessages(events: any[]): Said {
  const parts = events.filter(({ type }) => type === "content_block_delta");
  const ofBlock = (index: number, of: string) =>
    parts.flatMap((part) => (part.index === index ? [part.delta[of] ?? ""] : [])).join("");
  const starts = events.filter(({ type }) => type === "content_block_start");
  const usages = events.flatMap(({ usage }) => usage ?? []);
  return {
    text: parts.map(({ delta }) => delta.text ?? "").join(""),
    calls: starts
      .filter(({ content_block }) => content_block.type === "tool_use")
      .map(({ index, content_block: { name, input } }) => ({
        name,
        input: inputOf(ofBlock(index, "partial_json") || JSON.stringify(input)),
      })),
    output: usages.at(-1).output_tokens,
  };
}

function saidInChat(chunks: any[]): Said {
  const deltas = chunks.flatMap(({ choices }) => choices.map(({ delta }: any) => delta));
  const pieces = deltas.flatMap(({ tool_calls }) => tool_calls ?? []);
  const starts = pieces.filter(({ id }) => id !== undefined);
  const input = (at: number) =>
    inputOf(pieces.flatMap(({ index, function: { arguments: part } }) => (index === at ? [part ?? ""] : [])).join(""));
  return {
    text: deltas.map(({ content }) => content ?? "").join(""),
    calls: starts.map(({ index, function: { name } }) => ({ name, input: input(index) })),
    output: chunks.flatMap(({ usage }) => usage ?? []).at(-1).completion_tokens,
  };
}

/** What an official client makes of an answer's body. */
async function gotBy(caller: Caller, body: string): Promise<Said> {
  const streamed = !body.startsWith("{");
  const headers = { "content-type": streamed ? "text/event-stream" : "application/json" };
  const options = { apiKey: "k", maxRetries: 0, fetch: async () => new Response(body, { headers }) };
  const messages = [{ role: "user" as const, content: "x" }];
  if (caller === "messages") {
    const client = new Anthropic(options);
    const asked = { model: "m", max_tokens: 1, messages };
    const { content, usage } = streamed
      ? await client.messages.stream(asked).finalMessage()
      : await client.messages.create(asked);
    const calls = content.flatMap((block) =>
      block.type === "tool_use" ? [{ name: block.name, input: block.input }] : [],
    );
    const text = content.map((block) => (block.type === "text" ? block.text : "")).join("");
    return { text, calls, output: usage.output_tokens };
  }
  const client = new OpenAI(options);
  const asked = { model: "m", messages };
  const { choices, usage } = streamed
    ? await client.chat.completions.stream(asked).finalChatCompletion()
    : await client.chat.completions.create(asked);
  const { content, tool_calls = [] } = choices[0]?.message ?? {};
  const calls = tool_calls.flatMap((call) =>
    call.type === "function" ? [{ name: call.function.name, input: inputOf(call.function.arguments) }] : [],
  );
  return { text: content ?? "", calls, output: usage?.completion_tokens ?? 0 };
}

test.each(by(".chunks.txt"))("the stream %s is read whole by a client of %s", async (_name, caller, recording) => {
  const said = recording.vendor === "messages" ? saidInMessages(recording.lines) : saidInChat(recording.lines);

  const { text, watch } = given(recording, caller);

  expect(await gotBy(caller, text)).toEqual(said);
  expect(watch).toMatchObject({ started: true, finished: true, tokens: { output: said.output } });
});

test.each(by(".json"))("the answer %s is read whole by a client of %s", async (_name, caller, { vendor, lines }) => {
  const [answer] = lines;
  const { read, answer: translate } = bridgeFor(caller, vendor);
  const watch = newWatch();

  const understood = read(answer, watch);
  const got = await gotBy(caller, JSON.stringify(translate(answer, 1) ?? answer));

  const said = await gotBy(vendor, JSON.stringify(answer));
  expect(understood).toBe(true);
  expect(got).toEqual(said);
  expect(watch.tokens?.output).toBe(said.output);
});
