// npm run llm:compare -- --prompt FILE [--chain NAME] [--url URL]: one prompt to each model of a chain, side by side.
import { readFile } from "node:fs/promises";
import { command, Failed, WrongUse, wholeOption } from "../lib/terminal/command.ts";
import { align } from "../lib/terminal/table.ts";
import { findStack } from "./database.ts";

const usage = `Usage: npm run llm:compare -- --prompt FILE [--chain default] [--url URL | --data DIR] [--times 1]

Sends the prompt to each model of the chain through the gateway and prints latency, tokens and cost side by side.
--url is the gateway's URL before /llm (default: that of the stack over --data, WAYBILL_DATA or .waybill).`;

process.exitCode = await command({
  usage,
  options: {
    prompt: { type: "string" },
    chain: { type: "string", default: "default" },
    url: { type: "string" },
    data: { type: "string" },
    times: { type: "string", default: "1" },
  },
  run: async ({ values: { prompt, chain, data, url, times } }) => {
    if (prompt === undefined) throw new WrongUse("Which prompt? Say --prompt FILE.");
    const rounds = wholeOption("times", times, 1);
    const text = await readFile(prompt, "utf8").catch((cause: Error) => {
      throw new Failed(`${prompt} cannot be read: ${cause.message}`, { cause });
    });
    return await compare((url ?? gatewayOf(data)).replace(/\/$/, ""), chain, text, rounds);
  },
});

/** The gateway of the stack that a command is for. Throws Failed where none runs. */
function gatewayOf(data: string | undefined): string {
  const { folder, stack } = findStack(data);
  if (stack !== undefined) return stack.environment["LLM_STREAM_URL"] ?? stack.url;
  throw new Failed(
    `No stack runs over ${folder}. Start it (npm start), name its folder (--data DIR), or the gateway: --url URL.`,
  );
}

/** What came of one request to one model; times in milliseconds, cost in USD as the gateway has it. */
type Row = {
  model: string;
  ttft?: number;
  ms?: number;
  input?: number;
  output?: number;
  cost?: string;
  error?: string;
};

/** Prints the comparison; answers the exit code, which is 1 where no model answered. */
async function compare(url: string, chain: string, prompt: string, rounds: number): Promise<number> {
  const { tries, skipped } = await explain(url, chain);
  const rows: Row[] = [];
  for (const { model } of tries) {
    for (let round = 0; round < rounds; round++) rows.push(await measure(url, model, prompt));
  }
  for (const { model, reason } of skipped) rows.push({ model, error: reason });
  console.log(tell(rows));
  return rows.some(({ error }) => error === undefined) ? 0 : 1;
}

type Explained = { tries?: { model: string }[]; skipped?: { model: string; reason: string }[]; detail?: string };

/** Which models of the chain the gateway would try, and which it would not and why. */
async function explain(url: string, chain: string): Promise<Required<Pick<Explained, "tries" | "skipped">>> {
  const answer = await ask(`${url}/llm/route`, { model: chain }).catch((cause: Error) => {
    const todo = "Start one (npm start), or name it: --url URL";
    throw new Failed(`No gateway answers at ${url}: ${cause.message}. ${todo}`, { cause });
  });
  const { tries = [], skipped = [], detail } = (await answer.json()) as Explained;
  if (!answer.ok) throw new Failed(detail ?? `The gateway answered ${answer.status}.`);
  return { tries, skipped };
}

async function measure(url: string, model: string, prompt: string): Promise<Row> {
  const began = performance.now();
  const messages = [{ role: "user", content: prompt }];
  const request = { model, messages, stream: true, stream_options: { include_usage: true } };
  const response = await ask(`${url}/llm/v1/chat/completions`, request);
  const row: Row = { model };
  let text = "";
  for await (const part of response.body ?? []) {
    text += Buffer.from(part as Uint8Array).toString();
    if (row.ttft === undefined && /"content":\s*"[^"]/.test(text)) row.ttft = performance.now() - began;
  }
  row.ms = performance.now() - began;
  const usageSent = /"usage":\s*(\{.*?\})[,}\s]/s.exec(text)?.[1];
  const input = /"prompt_tokens":\s*(\d+)/.exec(usageSent ?? "")?.[1];
  const output = /"completion_tokens":\s*(\d+)/.exec(usageSent ?? "")?.[1];
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

async function ask(url: string, body: object): Promise<Response> {
  return await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

function tell(rows: Row[]): string {
  const cells = rows.map(({ model, ttft, ms: whole, input, output, cost, error }) => [
    model,
    ms(ttft),
    ms(whole),
    String(input ?? "-"),
    String(output ?? "-"),
    output === undefined || whole === undefined ? "-" : (output / (whole / 1000)).toFixed(1),
    cost ?? "-",
    error ?? "",
  ]);
  return align([["model", "first token", "whole", "in", "out", "tokens/s", "USD", ""], ...cells]).join("\n");
}

function ms(value: number | undefined): string {
  return value === undefined ? "-" : `${Math.round(value)} ms`;
}
