import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { FAULTS, MODES, SURFACES } from "../support/llm/gateway.ts";
import type { Seen } from "../support/llm/vendor.ts";
import { WORDS } from "../support/llm/vendor-stream.ts";
import { llmWorld, PROMPT } from "../support/llm/world.ts";
import { logLines } from "../support/log-lines.ts";

vi.hoisted(() => {
  // Read when the log is loaded.
  process.env["LOG_LEVEL"] = "debug";
});

// What must never get out: our keys, to anybody; what was said, into logs and rows. Every fault is played, by either client, in
// each mode, tied to a task, on behalf of an agent.

const { key, db, ask, newTask, vendor } = await llmWorld({ budgets: "{ agents: { code: 100 }, task_usd: 100 }" });
const log = logLines();
const printed = vi.spyOn(console, "log");
const headers = { "x-waybill-task-id": await newTask(), "x-waybill-agent": "code" };
const answers: string[] = [];
const errors: string[] = [];
const seen: Seen[] = [];
const LANES = 3;

// Without what only takes long. Alone in two modes, where the caller gets the fault itself; before a model that is well in the third.
const asked = SURFACES.flatMap((surface) =>
  FAULTS.filter((fault) => !/^(endless|drip|silent|stall|huge|event-endless)$/.test(fault)).flatMap((fault) =>
    MODES.map((mode) => {
      const alone = `${surface === "chat" ? "" : "a-"}fb-${fault}`;
      return { surface, mode, model: mode === "whole" ? `${surface}-whole-${fault}` : alone };
    }),
  ),
);

beforeAll(async () => {
  vendor.reset();
  vendor.set({ slowMs: 100, retryAfter: "0.1" });
  const lane = async (number: number) => {
    for (const { surface, mode, model } of asked.filter((_each, index) => index % LANES === number)) {
      const { ok, raw, error } = await ask(model, { surface, mode, headers });
      answers.push(raw);
      if (ok) continue;
      const told = [...((error.headers as Headers | undefined)?.entries() ?? [])];
      errors.push(JSON.stringify([error.message, error.error, told]));
    }
  };
  await Promise.all(Array.from({ length: LANES }, async (_none, number) => await lane(number)));
  seen.push(...vendor.seen);
}, 120_000);
afterAll(() => log.stop());

test("the faults were played, and told to callers and to the log", async () => {
  expect(seen.length).toBeGreaterThanOrEqual(asked.length);
  expect(errors.length).toBeGreaterThan(50);
  expect(seen.every(({ headers: sent }) => JSON.stringify(sent).includes(key))).toBe(true);
  expect(seen.every(({ body }) => JSON.stringify(body).includes(PROMPT))).toBe(true);
  expect(log.lines().filter(({ event }) => event === "llm call answered").length).toBeGreaterThan(100);
  const [kept] = await db`select count(*)::int as n, count(distinct error_class)::int as classes from llm_calls`;
  expect(kept?.["n"]).toBeGreaterThanOrEqual(asked.length);
  expect(kept?.["classes"]).toBeGreaterThanOrEqual(11);
});

test("no key is in any answer, error body or header", () => {
  const said = [...answers, ...errors].filter((text) => text.includes(key));

  expect(said.map((text) => text.slice(0, 300))).toEqual([]);
});

test("neither a key nor what was said is in any log line", () => {
  const said = log.lines().map((line) => JSON.stringify(line));

  for (const secret of [key, PROMPT, ...WORDS.slice(0, 3).map((word) => `${word} `)])
    expect(said.filter((line) => line.includes(secret)).map((line) => line.slice(0, 300))).toEqual([]);
  expect(printed).not.toHaveBeenCalled();
});

test("neither a key nor what was said is in any row of any table", async () => {
  const tables = await db`select tablename from pg_tables where schemaname = 'public'`;
  const rows = await Promise.all(
    tables.map(async ({ tablename }) => await db`select t::text as row from ${db(tablename as string)} as t`),
  );
  const all = rows.flat().map(({ row }) => String(row));

  expect(all.filter((row) => row.includes("fb-401")).length).toBeGreaterThan(1);
  for (const secret of [key, PROMPT, "word0", "word1 "])
    expect(all.filter((row) => row.includes(secret)).map((row) => row.slice(0, 300))).toEqual([]);
});
