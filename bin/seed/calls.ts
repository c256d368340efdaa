import { DEFAULT_TEAM } from "../../lib/access/actor.ts";
import { insertAttempts } from "../../lib/llm/accounts/queries.ts";
import { uuidOf } from "../../lib/runtime/ids.ts";
import type { Db } from "../../lib/runtime/postgres/db.ts";

/** One attempt at a model on behalf of a sample task: answered, unless it has an error. `at` in seconds after submission. */
export type StoryAttempt = {
  at: number;
  model: "claude-sonnet" | "gpt-mini" | "llama-local";
  /** Counts from 1; a later number is the fallback of the attempt before it in the list. */
  number?: number;
  ms: number;
  first_token_ms?: number;
  input?: number;
  output?: number;
  error?: { class: string; status: number };
};

/** Vendors, the models' own names, and USD for a million tokens; null where nobody told a price. */
const MODELS = {
  "claude-sonnet": { provider: "anthropic", id: "claude-sonnet-4-5", price: { input: 3, output: 15 } },
  "gpt-mini": { provider: "openai", id: "gpt-5-mini", price: { input: 0.25, output: 2 } },
  "llama-local": { provider: "ollama", id: "llama3.3", price: null },
} as const;

type Place = { key: string; taskId: string; traceId: string; agent: string; submitted: Date };

/** Keeps the attempts as the gateway does. Those of a sample that had been deleted move to its new task. */
export async function insertCalls(db: Db, place: Place, attempts: StoryAttempt[]): Promise<number> {
  const { taskId, traceId, agent, submitted } = place;
  const records = attempts.map((attempt, index) => {
    const { model, number = 1, error, input, output } = attempt;
    const { provider, id } = MODELS[model];
    const usd = costOf(attempt);
    return {
      attemptId: uuidOf(`waybill sample ${place.key} attempt ${index}`),
      callId: callOf(place.key, index, number),
      attemptNumber: number,
      taskId,
      traceId,
      agent,
      teamId: DEFAULT_TEAM,
      chain: "default",
      dialect: "chat" as const,
      model,
      modelAsked: id,
      modelServed: error === undefined ? id : null,
      provider,
      external: true,
      streamed: true,
      tokens:
        input === undefined || output === undefined
          ? null
          : { input, output, cacheRead: 0, cacheWrite: 0, reasoning: 0 },
      usageSource: error === undefined ? ("provider" as const) : ("none" as const),
      costUsd: usd === null ? null : usd.toFixed(10),
      costUnknown: usd === null ? `no price for ${id}` : null,
      ttftMs: attempt.first_token_ms ?? null,
      latencyMs: attempt.ms,
      outcome: error === undefined ? ("answered" as const) : ("failed" as const),
      errorClass: error?.class ?? null,
      errorStatus: error?.status ?? null,
      startedAt: new Date(submitted.getTime() + attempt.at * 1000),
    };
  });
  const ids = records.map(({ attemptId }) => attemptId);
  await db`delete from llm_calls where attempt_id = any (${ids}::uuid[])`;
  await insertAttempts(db, records);
  return records.length;
}

/** The same attempts as the gateway notes them on their task. */
export function aiUseOf(key: string, attempts: StoryAttempt[]): object[] {
  return attempts.map((attempt, index) => ({
    model: MODELS[attempt.model].id,
    call_id: callOf(key, index, attempt.number ?? 1),
    via: "llm-route",
    tokens: attempt.input === undefined ? null : attempt.input + (attempt.output ?? 0),
    cost: costOf(attempt),
  }));
}

function callOf(key: string, index: number, number: number): string {
  return uuidOf(`waybill sample ${key} call ${index - number + 1}`);
}

/** What a vendor refused costs nothing; what has no price has an unknown cost. */
function costOf({ model, input = 0, output = 0, error }: StoryAttempt): number | null {
  const { price } = MODELS[model];
  if (error !== undefined) return 0;
  return price === null ? null : (input * price.input + output * price.output) / 1e6;
}
