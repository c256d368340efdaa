import { randomUUID } from "node:crypto";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeEach } from "vitest";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { type Mode, type More, type Surface, startGateway } from "./gateway.ts";

/** What a caller got by an official client. `raw` is the body as it came; `error` is what the client threw. */
export type Got = { ok: boolean; text: string; model?: string; usage?: any; raw: string; ms: number; error?: any };

/** What a test may say of a call beside the model. */
export type Wish = { surface?: Surface; mode?: Mode; headers?: Record<string, string>; maxTokens?: number };

/** What every prompt of `ask` says: a canary test looks for it. */
export const PROMPT = "a canary prompt 5d1c: explain in sixty words";

const messages = [{ role: "user" as const, content: PROMPT }];

/** The gateway, its vendors, both official clients and the database, made for one test file and ended after it. */
export async function llmWorld(more: More = {}) {
  const { gateway, vendor, key } = await startGateway(more);
  let raw: Promise<string>[] = [];
  const listening: typeof fetch = async (...args) => {
    const answer = await fetch(...args);
    raw.push(readThrough(answer.clone()));
    return answer;
  };
  const given = { apiKey: "caller", maxRetries: 0, fetch: listening };
  const openai = new OpenAI({ ...given, baseURL: `${gateway.url}/llm/v1` });
  const anthropic = new Anthropic({ ...given, baseURL: `${gateway.url}/llm` });
  const db = connect();

  beforeEach(() => vendor.reset());
  afterAll(async () => {
    await gateway.stop();
    await vendor.stop();
    await db.end();
  });

  /** One call by the client of its surface; never throws for what the gateway answers. */
  const ask = async (model: string, wish: Wish = {}): Promise<Got> => {
    const { surface = "chat", mode = "plain", headers = {}, maxTokens = 100 } = wish;
    const began = Date.now();
    const got: Got = { ok: true, text: "", raw: "", ms: 0 };
    raw = [];
    try {
      const sent = { headers: mode === "plain" ? headers : { "x-waybill-stream": mode, ...headers } };
      await (surface === "chat" ? byOpenai : byAnthropic)({ model, max_tokens: maxTokens }, mode, sent, got);
    } catch (error) {
      Object.assign(got, { ok: false, error });
    }
    got.ms = Date.now() - began;
    got.raw = (await Promise.all(raw)).join("");
    return got;
  };

  type Params = { model: string; max_tokens: number };
  const byOpenai = async (params: Params, mode: Mode, sent: { headers: Record<string, string> }, got: Got) => {
    if (mode === "plain") {
      const answer = await openai.chat.completions.create({ ...params, messages }, sent);
      Object.assign(got, {
        text: answer.choices[0]?.message.content ?? "",
        model: answer.model,
        usage: answer.usage,
      });
      return;
    }
    const wanted = { ...params, messages, stream: true as const, stream_options: { include_usage: true } };
    for await (const chunk of await openai.chat.completions.create(wanted, sent)) {
      got.text += chunk.choices[0]?.delta.content ?? "";
      got.usage = chunk.usage ?? got.usage;
      got.model = chunk.model;
    }
  };
  const byAnthropic = async (params: Params, mode: Mode, sent: { headers: Record<string, string> }, got: Got) => {
    if (mode === "plain") {
      const answer = await anthropic.messages.create({ ...params, messages }, sent);
      const text = answer.content.map((part) => (part.type === "text" ? part.text : "")).join("");
      Object.assign(got, { text, model: answer.model, usage: answer.usage });
      return;
    }
    const stream = anthropic.messages.stream({ ...params, messages }, sent);
    stream.on("text", (part) => void (got.text += part));
    const { model, usage } = await stream.finalMessage();
    Object.assign(got, { model, usage });
  };

  /** What was kept of one trace's attempts, in order. */
  const rowsOf = async (traceId: string) =>
    await db`
    select model, model_asked, model_served, provider, outcome, error_class, usage_source, input_tokens, output_tokens,
      cost_usd::text, cost_unknown, external, task_id, agent, attempt_number, streamed, latency_ms
    from llm_calls where trace_id = ${traceId} order by attempt_number
  `;

  /** A task that calls may be tied to. */
  const newTask = async (hints: Record<string, string> = {}) => {
    const id = randomUUID();
    await db`
      insert into tasks (task_id, status, request_id, request_hash, trace_id, created_by, request_text, work_type, parameters,
        hints, to_agent, priority, timeout_seconds, max_attempts, message_bytes, approval, run_id)
      values (${id}, 'pending', ${id}, '\\x00', ${id}, 'test', 'x', 'code.run', '{}', ${db.json(hints)}, 'code', 5, 60, 3, 1,
        'required', ${id})
    `;
    return id;
  };

  return { gateway, vendor, key, openai, anthropic, db, ask, rowsOf, newTask };
}

/** The body to where it ends or breaks. */
async function readThrough(answer: Response): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  try {
    for await (const part of answer.body ?? []) text += decoder.decode(part, { stream: true });
  } catch {
    // The connection broke or the client hung up: what came is what there is.
  }
  return text;
}
