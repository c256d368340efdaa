import { randomUUID } from "node:crypto";
import type { Db } from "../../../lib/runtime/postgres/db.ts";

/** One answered call of the LLM gateway, as it is kept. */
export async function buildLlmCall(db: Db): Promise<void> {
  await db`
    insert into llm_calls (attempt_id, call_id, attempt_number, trace_id, agent, chain, dialect, model, model_asked, provider,
      external, streamed, usage_source, cost_usd, first_token_ms, latency_ms, outcome, started_at)
    values (${randomUUID()}, ${randomUUID()}, 1, ${randomUUID()}, 'code', 'default', 'chat', 'gpt', 'gpt-5', 'openai', true,
      false, 'provider', 0.1, 5, 10, 'answered', now())
  `;
}
