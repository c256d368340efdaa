import { afterAll, beforeEach, expect, test } from "vitest";
import { openRouter } from "../../../lib/router/decide/route.ts";
import { routerSettings } from "../../../lib/router/settings.ts";
import { uuidv7 } from "../../../lib/runtime/ids.ts";
import { connect, type Db } from "../../../lib/runtime/postgres/db.ts";
import { readSettings } from "../../../lib/runtime/settings.ts";
import { defineAgents } from "../../support/database/registry.ts";

const db = connect();
/** A database that must not be asked. */
const nobody = (() => {
  throw new Error("the database was asked");
}) as unknown as Db;
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

  const { agent, routing } = await open()(db, request);

  expect(agent).toBe("agent21");
  expect(routing.reason).toContain("agent00 is passed over: it has no queue yet");
});

test("a provisional decision is from memory where the agents were seen lately, and any other looks", async () => {
  const route = open();
  await expect(route(nobody, request, { provisional: true })).rejects.toThrow("the database was asked");
  const looked = await route(db, request);

  const remembered = await route(nobody, request, { provisional: true });

  expect(remembered).toMatchObject({ agent: "agent00", routing: looked.routing });
  expect(remembered.measured.cacheAgeSeconds).toBeGreaterThanOrEqual(0);
  await expect(route(nobody, request)).rejects.toThrow("the database was asked");
});

test("what a provisional decision was made on holds until an agent in question can take work no more", async () => {
  const route = open();
  await route(db, request);
  const { holds } = await route(db, request, { provisional: true });
  const stillHolds = async () => (await db<{ still: boolean }[]>`select ${holds(db)} as still`)[0]?.still;

  expect(await stillHolds()).toBe(true);
  await db`update agent_definitions set queue_url = null where agent_name = 'agent07'`;
  expect(await stillHolds()).toBe(false);
});
