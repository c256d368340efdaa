import { randomUUID } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { type AttemptRecord, recordOf } from "../../../lib/llm/accounts/account.ts";
import { insertAttempts } from "../../../lib/llm/accounts/queries.ts";
import type { Model } from "../../../lib/llm/config/schema.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { TEAM } from "../../support/database/actor.ts";

// One connection, so that what the session keeps can be asked for.
const db = connect(process.env, undefined, { max: 1 });
afterAll(async () => await db.end());

const provider = { name: "vendor", type: "openai", base_url: "http://127.0.0.1", local: false } as Model["provider"];
const model = { name: "m", id: "m", provider, price: { input: 1, output: 2 } } as Model;
const tokens = { input: 20, output: 60, cacheRead: 5, cacheWrite: 1, reasoning: 3 };

function attempt(served: string): AttemptRecord {
  const ids = { callId: randomUUID(), teamId: TEAM, taskId: null, traceId: randomUUID() };
  const watch = { started: true, finished: true, done: true, model: served, tokens, outChars: 60 };
  return recordOf(
    { ...ids, agent: "code", chain: "c", dialect: "chat", streamed: false },
    {
      attemptId: randomUUID(),
      attemptNumber: 1,
      model,
      watch,
      body: {},
      sent: true,
      ttftMs: 1.4,
      latencyMs: 2.6,
      startedAt: Date.parse("2026-05-04T03:02:01.5Z"),
      failure: undefined,
    },
    "answered",
  );
}

test("a row has every value of its attempt, to the digit", async () => {
  const record = attempt("m-2026");

  expect(await insertAttempts(db, [record])).toEqual([{ callId: record.callId, attemptId: record.attemptId }]);

  const [row] = await db`select * from llm_calls where attempt_id = ${record.attemptId}`;
  const { left, tokens: _tokens, ttftMs, ...told } = record;
  expect(row).toEqual({
    ...told,
    inputTokens: 20,
    outputTokens: 60,
    cacheReadTokens: 5,
    cacheWriteTokens: 1,
    reasoningTokens: 3,
    costUsd: "0.0001400000",
    firstTokenMs: 1,
    latencyMs: 3,
  });
});

test("however many attempts are kept at once, the session keeps one statement for it", async () => {
  for (const count of [1, 2, 3, 50]) {
    const records = Array.from({ length: count }, () => attempt("m"));
    expect(await insertAttempts(db, records)).toHaveLength(count);
  }

  const kept = await db`select 1 from pg_prepared_statements where statement like ${"%into llm_calls%"}`;
  expect(kept).toHaveLength(1);
});

test("a vendor's name for its model that Postgres cannot keep costs no row", async () => {
  const odd = attempt("m\u0000 \ud800!");

  expect(await insertAttempts(db, [attempt("m"), odd])).toHaveLength(2);
  expect(await db`select model_served from llm_calls where attempt_id = ${odd.attemptId}`).toEqual([
    { modelServed: "m \ufffd!" },
  ]);
});
