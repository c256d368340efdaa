import { randomUUID } from "node:crypto";
import { afterAll, beforeEach, expect, test } from "vitest";
import { openRouter } from "../../../lib/router/decide/route.ts";
import { routerSettings } from "../../../lib/router/settings.ts";
import { uuidv7 } from "../../../lib/runtime/ids.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { readSettings } from "../../../lib/runtime/settings.ts";
import { TEAM } from "../../support/database/actor.ts";
import { defineAgents } from "../../support/database/registry.ts";

const db = connect();
const names = Array.from({ length: 22 }, (_, number) => `agent${String(number).padStart(2, "0")}`);
const request = { request_text: "paint the fence" };
const open = () =>
  openRouter({
    settings: readSettings(routerSettings, { ROUTER_EXPLORE: "0" }),
    inFlight: 10,
    queues: [],
    newId: () => uuidv7(),
    now: Date.now,
  });

beforeEach(async () => {
  await db`truncate agent_definitions cascade`;
  await defineAgents(db, ...names.map((name) => ({ name, triggers: [{ phrase: "paint the fence" }] })));
});
afterAll(async () => {
  await db.end();
});

test("where none of the best can take work all the others are looked at", async () => {
  await db`update agent_definitions set queue_url = null where agent_name <> 'agent21'`;

  const { agent, routing } = await open().route(db, TEAM, request);

  expect(agent).toBe("agent21");
  expect(routing.reason).toContain("agent00 is passed over: it has no queue yet");
});

test("a decision is from memory where the agents were seen lately, and only then", async () => {
  const { route, recall } = open();
  expect(recall(TEAM, request)).toBeUndefined();
  const looked = await route(db, TEAM, request);

  const remembered = recall(TEAM, request);

  expect(remembered).toMatchObject({ agent: "agent00", routing: looked.routing });
  expect(remembered?.measured.cacheAgeSeconds).toBeGreaterThanOrEqual(0);
  expect(recall(TEAM, { request_text: "paint the fence anew" })).toMatchObject({ agent: "agent00" });
  expect(recall(TEAM, { ...request, hints: { parent_task_id: uuidv7() } })).toBeUndefined();
  expect(recall(randomUUID(), request)).toBeUndefined();
});

test("what was decided from memory holds until an agent in question can take work no more", async () => {
  const { route, recall } = open();
  await route(db, TEAM, request);
  const holds = recall(TEAM, request)?.holds;
  const stillHolds = async () =>
    holds === undefined ? undefined : (await db<{ still: boolean }[]>`select ${holds(db)} as still`)[0]?.still;

  expect(await stillHolds()).toBe(true);
  await db`update agent_definitions set queue_url = null where agent_name = 'agent07'`;
  expect(await stillHolds()).toBe(false);
});
