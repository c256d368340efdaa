import { afterAll, beforeAll, expect, test } from "vitest";
import { handler as getHealth } from "../../functions/system/get-health.ts";
import { type Caller, system } from "../../lib/access/actor.ts";
import { createKey } from "../../lib/access/keys/keys.ts";
import { CreateKey } from "../../lib/access/keys/schema.ts";
import { uuidv7 } from "../../lib/runtime/ids.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { ACTOR, TEAM } from "../support/database/actor.ts";
import { defineAgents } from "../support/database/registry.ts";
import { newTeam } from "../support/database/teams.ts";
import { worldOf } from "../support/database/world.ts";
import { call } from "../support/http/events.ts";

// What is not right names agents and work: of each team to that team alone.

const db = connect();
const keys: Record<string, string> = {};
const stuck: Record<string, string> = {};

async function keyOf(name: string, team: string, more: object): Promise<void> {
  const wish = CreateKey.parse({ name, ...more });
  keys[name] = (await createKey(db, system("test", team), { ...wish, keyId: uuidv7() })).key;
}

/** A message that waits for an agent's queue, which has refused it, and work that the database refuses to start. */
async function troubled(name: string, actor: Caller | typeof ACTOR): Promise<void> {
  const world = worldOf(db, {}, actor);
  world.queues.down = true;
  await world.submit({ to_agent: "painter" });
  await world.dispatch();
  await db`update outbox set refusals = 1, refusal = ${`of ${name}`} where team_id = ${actor.team}`;
  stuck[name] = await world.submit({ to_agent: "painter" });
  await db`update tasks set attempts_used = max_attempts where task_id = ${stuck[name]}`;
  await world.dispatch();
}

beforeAll(async () => {
  const [red, blue] = [await newTeam(db, "red"), await newTeam(db, "blue")];
  for (const team of [TEAM, red.team, blue.team])
    await defineAgents(db, { name: "painter", team, work_types: ["*"], queue: `http://q/${team}` });
  await troubled("default", ACTOR);
  await troubled("red", red);
  await keyOf("default", TEAM, { kind: "service", role: "viewer" });
  await keyOf("red", red.team, { kind: "service", role: "viewer" });
  await keyOf("blue", blue.team, { kind: "service", role: "owner" });
  await keyOf("narrow", red.team, { kind: "service", role: "owner", scopes: ["llm:use"] });
  await keyOf("agent", red.team, { kind: "agent", agent: "painter" });
});
afterAll(async () => {
  await db.end();
});

const ask = async (headers: Record<string, string> = {}) => await call(getHealth, "/health", { as: null, headers });
const askAs = async (name: string) => await ask({ authorization: `Bearer ${keys[name]}` });

test.each(["default", "red"])("a key of team %s is told what is not right in that team", async (name) => {
  const { json } = await askAs(name);

  expect(json.warnings).toEqual([
    `A message to agent painter cannot be delivered: of ${name}`,
    expect.stringContaining(`Work ${stuck[name]} waits: `),
  ]);
});

test("a team where all is right is told of nothing", async () => {
  expect((await askAs("blue")).json.warnings).toEqual([]);
});

test.each<[string, Record<string, string>]>([
  ["without a key", {}],
  ["with a key that is not there", { authorization: `Bearer wb_${"0".repeat(12)}_${"0".repeat(43)}` }],
  ["with what is no key", { authorization: "AWS4-HMAC-SHA256 Credential=…" }],
])("%s it tells status, checks and counts, and no name of an agent", async (_how, headers) => {
  const { status, json, text } = await ask(headers);

  expect([status, json.status, json.database.status, json.warnings]).toEqual([200, "ok", "ok", []]);
  expect(Object.keys(json.queues)).toEqual(["work", "results", "agents"]);
  expect(json.queues.agents).toMatchObject({ status: "ok", waiting: 0, in_flight: 0 });
  expect(text).not.toMatch(/painter|infra|code|Work /);
});

test.each(["narrow", "agent"])("with a key that may not read (%s) it is the same", async (name) => {
  const { status, json } = await askAs(name);

  expect([status, json.warnings, Object.keys(json.queues)]).toEqual([200, [], ["work", "results", "agents"]]);
});

test("the names of the default team's agents are for its keys", async () => {
  expect(Object.keys((await askAs("default")).json.queues)).toContain("agent.infra");
  expect(Object.keys((await askAs("red")).json.queues)).toEqual(["work", "results", "agents"]);
});
