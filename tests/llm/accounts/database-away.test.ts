import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeEach, expect, test, vi } from "vitest";
import { setSwitch } from "../../../lib/llm/accounts/queries.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { ACTOR } from "../../support/database/actor.ts";
import { startProxy } from "../../support/http/proxy.ts";
import { MODES, SURFACES } from "../../support/llm/gateway.ts";
import { ANSWER } from "../../support/llm/vendor-stream.ts";
import { llmWorld } from "../../support/llm/world.ts";
import { logLines } from "../../support/log-lines.ts";

vi.hoisted(() => {
  // Read when the log is loaded.
  process.env["LOG_LEVEL"] = "info";
});

// The database behind a proxy that can be broken: an answer is never lost because of it.

const direct = process.env["DATABASE_URL"] ?? "";
const proxy = await startProxy(direct);
process.env["DATABASE_URL"] = proxy.url;
const budgets = "{ agents: { none: 0 }";
const world = await llmWorld({ budgets: `${budgets} }` });
vi.resetModules();
// A second instance, which would rather not serve than spend blindly.
const strict = await llmWorld({ budgets: `${budgets}, without_database: refuse }` });
const db = connect(undefined, direct);

let log: ReturnType<typeof logLines>;
beforeEach(() => {
  log = logLines();
});
afterEach(async () => {
  proxy.behave("pass");
  log.stop();
  // The database is left alone for three seconds after it failed: wait until both instances use it again.
  for (const each of [world, strict]) await untilKept(each);
});
afterAll(async () => {
  await db.end();
  await proxy.close();
});

const rowsOf = async (traceId: string) => await db`select * from llm_calls where trace_id = ${traceId}`;
const lost = () => log.lines().filter(({ event }) => event === "llm call not kept");
const lostOf = (traceId: string) => lost().filter((line) => line["traceId"] === traceId);

/** Calls until a call is kept again. */
async function untilKept({ ask }: typeof world): Promise<void> {
  await expect
    .poll(
      async () => {
        const traceId = randomUUID();
        await ask("home", { headers: { "x-waybill-trace-id": traceId } });
        await new Promise((resolve) => setTimeout(resolve, 50));
        return (await rowsOf(traceId)).length;
      },
      { timeout: 15_000, interval: 250 },
    )
    .toBe(1);
}

function away(how: "hang up" | "swallow"): void {
  proxy.behave(how);
  if (how === "hang up") proxy.cut("rst");
}

const refusing = SURFACES.flatMap((surface) => MODES.map((mode) => [surface, mode, "hang up"] as const));
const silent = [["chat", "plain", "swallow"] as const, ["messages", "live", "swallow"] as const];

test.each([...refusing, ...silent])(
  "%s %s: the answer is given, and its row is a log line (%s)",
  async (surface, mode, how) => {
    const traceId = randomUUID();
    away(how);

    const got = await world.ask("x-fb-html", { surface, mode, headers: { "x-waybill-trace-id": traceId } });

    expect(got).toMatchObject({ ok: true, text: ANSWER, model: "fb-ok" });
    expect(world.vendor.of("fb-ok")).toHaveLength(1);
    await expect.poll(() => lostOf(traceId).map(({ model }) => model), { timeout: 5_000 }).toContain("ok");
    expect(await rowsOf(traceId)).toEqual([]);
  },
);

test("the log line has every column of the row, and a count that goes on", async () => {
  const traceId = randomUUID();
  const headers = { "x-waybill-trace-id": traceId, "x-waybill-agent": "code" };
  away("hang up");

  await world.ask("x-fb-503", { headers });

  await expect.poll(() => lostOf(traceId).length).toBeGreaterThanOrEqual(1);
  const line = lostOf(traceId).at(-1) ?? {};
  const named: Record<string, unknown> = { ...line, firstTokenMs: line["ttftMs"] };
  for (const [name, tokens] of Object.entries(line["tokens"] as Record<string, number>))
    named[`${name}Tokens`] = tokens;
  const columns = await db`select column_name from information_schema.columns where table_name = 'llm_calls'`;
  const camel = (name: string) => name.replace(/_(.)/g, (_all, letter: string) => letter.toUpperCase());
  expect(columns.length).toBeGreaterThan(20);
  expect(columns.map((row) => camel(row["columnName"])).filter((name) => named[name] === undefined)).toEqual([]);
  expect(line).toMatchObject({ level: "error", model: "ok", costUsd: "0.00014", agent: "code", outcome: "answered" });
  const counts = lost().map((one) => one["lost"] as number);
  await world.ask("ok", { headers });
  await expect.poll(() => lost().at(-1)?.["lost"]).toBe((counts.at(-1) ?? 0) + 1);
});

test.each(SURFACES)("%s: a database that is cut in mid-stream takes nothing from the answer", async (surface) => {
  const traceId = randomUUID();
  const asked = world.ask(`${surface}-live-drip`, {
    surface,
    mode: "live",
    headers: { "x-waybill-trace-id": traceId },
  });
  await expect.poll(() => world.vendor.of("fb-drip").length).toBe(1);

  away("hang up");

  expect(await asked).toMatchObject({ ok: true, text: ANSWER, model: "fb-drip" });
  await expect.poll(() => lostOf(traceId)).toMatchObject([{ outcome: "answered", usageSource: "provider" }]);
});

test("a task whose marks cannot be read stays in the house", async () => {
  const headers = { "x-waybill-task-id": await world.newTask() };
  away("hang up");

  const atHome = await world.ask("h-fb-flap", { headers });
  const nowhere = await world.ask("ok", { headers });

  expect(atHome).toMatchObject({ ok: true, text: ANSWER, model: "fb-home" });
  expect(nowhere.error).toMatchObject({ status: 503, code: "no_model_fits" });
  expect(world.vendor.seen.map(({ path }) => path)).toEqual(["/local/v1/chat/completions"]);
});

test("budgets are not held while they cannot be checked, which is told; with `refuse` nobody is called", async () => {
  const headers = { "x-waybill-agent": "none" };
  expect((await world.ask("ok", { headers })).error.status).toBe(402);
  away("hang up");

  const served = await world.ask("ok", { headers });
  const refused = await strict.ask("ok", { headers });

  expect(served).toMatchObject({ ok: true, text: ANSWER });
  expect(log.lines().map(({ event }) => event)).toContain("llm budget not checked");
  expect(refused.error).toMatchObject({ status: 402, code: "budget_exceeded" });
  expect(refused.error.message).toContain("the database does not answer");
  expect(strict.vendor.seen).toEqual([]);
});

test("external calls that were switched off stay so while the database is away", async () => {
  const status = async () => (await world.ask("ok")).error?.status as number | undefined;
  await setSwitch(db, ACTOR, false, "a test");
  try {
    await expect.poll(status, { timeout: 5000 }).toBe(503);
    world.vendor.reset();
    away("hang up");

    // Until what was read is too old to be believed, so that it was asked for again.
    await expect
      .poll(
        async () => {
          expect(await status()).toBe(503);
          return log.lines().some(({ event }) => event === "llm rules not read");
        },
        { timeout: 5000 },
      )
      .toBe(true);
    expect(world.vendor.seen).toEqual([]);
    expect((await world.ask("h-fb-flap")).model).toBe("fb-home");
  } finally {
    await setSwitch(db, ACTOR, true, null);
  }
  proxy.behave("pass");
  await expect.poll(status, { timeout: 10_000 }).toBeUndefined();
});
