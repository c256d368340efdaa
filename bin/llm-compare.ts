// npm run llm:compare -- --prompt FILE [--chain NAME] [--url URL]: one prompt to each model of a chain, side by side.
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { runningOver } from "../localstack/parts/data-dir.ts";

const USAGE = `Usage: npm run llm:compare -- --prompt FILE [--chain default] [--url URL] [--times 1]

Sends the prompt to each model of the chain through the gateway and prints latency, tokens and cost side by side.
--url is the gateway's URL before /llm (default: the running local stack's).`;

const { values } = parseArgs({
  options: {
    prompt: { type: "string" },
    chain: { type: "string", default: "default" },
    url: { type: "string" },
    times: { type: "string", default: "1" },
    help: { type: "boolean", default: false },
  },
});
if (values.help || values.prompt === undefined) {
  console.error(USAGE);
  process.exit(values.help ? 0 : 2);
}
const local = runningOver(process.env["WAYBILL_DATA"] || ".waybill");
const url = (values.url ?? local?.environment["LLM_STREAM_URL"] ?? local?.url ?? "http://127.0.0.1:3000").replace(
  /\/$/,
  "",
);
const prompt = await readFile(values.prompt, "utf8");

type Row = {
  model: string;
  ttft?: number;
  ms?: number;
  input?: number;
  output?: number;
  cost?: string;
  error?: string;
};

const explained = await ask("/llm/route", { model: values.chain }).catch((error: unknown) => {
  console.error(
    `No gateway answers at ${url}: ${(error as Error).message}. Start one (npm start), or name it: --url URL`,
  );
  process.exit(1);
});
const {
  tries = [],
  skipped = [],
  detail,
} = (await explained.json()) as {
  tries?: { model: string }[];
  skipped?: { model: string; reason: string }[];
  detail?: string;
};
if (!explained.ok) {
  console.error(detail ?? `The gateway answered ${explained.status}.`);
  process.exit(1);
}
const rows: Row[] = [];
for (const { model } of tries) for (let time = 0; time < Number(values.times); time++) rows.push(await measure(model));
for (const { model, reason } of skipped) rows.push({ model, error: reason });
print(rows);
process.exitCode = rows.some(({ error }) => error === undefined) ? 0 : 1;

async function measure(model: string): Promise<Row> {
  const began = performance.now();
  const messages = [{ role: "user", content: prompt }];
  const response = await ask("/llm/v1/chat/completions", {
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
  });
  const row: Row = { model };
  let text = "";
  for await (const part of response.body ?? []) {
    text += Buffer.from(part as Uint8Array).toString();
    if (row.ttft === undefined && /"content":\s*"[^"]/.test(text)) row.ttft = performance.now() - began;
  }
  row.ms = performance.now() - began;
  const usage = /"usage":\s*(\{.*?\})[,}\s]/s.exec(text)?.[1];
  const input = /"prompt_tokens":\s*(\d+)/.exec(usage ?? "")?.[1];
  const output = /"completion_tokens":\s*(\d+)/.exec(usage ?? "")?.[1];
  const told = /^: waybill (.*)$/m.exec(text)?.[1];
  const error = /"error":\s*\{"message":\s*"([^"]*)"/.exec(text)?.[1];
  const cost = told === undefined ? null : (JSON.parse(told) as { cost_usd: string | null }).cost_usd;
  return {
    ...row,
    ...(input === undefined ? {} : { input: Number(input) }),
    ...(output === undefined ? {} : { output: Number(output) }),
    cost: cost ?? "unknown",
    ...(error === undefined && response.ok ? {} : { error: error ?? `HTTP ${response.status}` }),
  };
}

async function ask(path: string, body: object): Promise<Response> {
  return await fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

function print(all: Row[]): void {
  const table = [
    ["model", "first token", "whole", "in", "out", "tokens/s", "USD", ""],
    ...all.map(({ model, ttft, ms: whole, input, output, cost, error }) => [
      model,
      ms(ttft),
      ms(whole),
      String(input ?? "-"),
      String(output ?? "-"),
      output === undefined || whole === undefined ? "-" : (output / (whole / 1000)).toFixed(1),
      cost ?? "-",
      error ?? "",
    ]),
  ];
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => (row[column] ?? "").length)));
  for (const row of table)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    );
}

function ms(value: number | undefined): string {
  return value === undefined ? "-" : `${Math.round(value)} ms`;
}
