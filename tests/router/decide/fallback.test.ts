import { afterAll, expect, test, vi } from "vitest";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { defineAgents } from "../../support/database/registry.ts";
import { call } from "../../support/http/events.ts";
import { logLines } from "../../support/log-lines.ts";

vi.hoisted(() => {
  // Read when the log is loaded.
  process.env["LOG_LEVEL"] = "warn";
});
vi.stubEnv("ROUTER_FALLBACK_AGENT", "clerk");
const { handler: getHealth } = await import("../../../functions/system/get-health.ts");
const { handler: submitWork } = await import("../../../functions/work/submit-work.ts");
const { handler: sweep } = await import("../../../functions/work/sweep.ts");

const db = connect();
afterAll(async () => {
  await db.end();
});

const health = async () => await call(getHealth, "/health");
const route = async () => (await call(submitWork, "/route", { body: { request_text: "knit a scarf" } })).json;
async function warned(): Promise<unknown[]> {
  const logged = logLines();
  await sweep();
  logged.stop();
  return logged.lines().flatMap(({ event, warning }) => (event === "not right" ? [warning] : []));
}

test("a fallback agent that is not in the registry is told before it is needed, with what mends it", async () => {
  const { status, json } = await health();
  const words = /ROUTER_FALLBACK_AGENT names clerk, which is no active agent.*PUT .* \/agents\/clerk/;

  expect([status, json.status]).toEqual([200, "ok"]);
  expect(json.warnings).toEqual([expect.stringMatching(words)]);
  expect(await warned()).toEqual(json.warnings);
  expect(await route()).toMatchObject({ agent: null, reason: expect.stringMatching(words) });

  await defineAgents(db, { name: "clerk", routable: false });

  expect((await health()).json.warnings).toEqual([]);
  expect(await warned()).toEqual([]);
  expect(await route()).toMatchObject({ agent: "clerk", strategy: "fallback" });

  await db`update agent_definitions set active = false where agent_name = 'clerk'`;

  expect((await health()).json.warnings).toEqual(json.warnings);
});
