import { expect, test } from "vitest";
import { handler as getAgent } from "../../functions/agents/get-agent.ts";
import { handler as manageAgent } from "../../functions/agents/manage-agent.ts";
import type { Caller } from "../../lib/access/actor.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { newTeam } from "../support/database/teams.ts";
import { call } from "../support/http/events.ts";
import { ownerNamed } from "../support/http/owner.ts";

const db = connect();
const URL_OF = "https://sqs.eu-central-1.amazonaws.com/1";
const admin: Caller = { ...ownerNamed("ada"), role: "admin" };
const itself: Caller = { ...ownerNamed("x"), kind: "agent", name: "agent:writer", role: null, agent: "writer" };

const put = async (as: Caller, version: string, more: object = {}) => {
  const body = { name: "writer", version, capabilities: ["poems"], work_types: ["text.*"], ...more };
  return await call(manageAgent, "/agents/writer", { method: "PUT", params: { name: "writer" }, body, as });
};

test("by its own key an agent stores what it can, and never another queue than an admin has named", async () => {
  expect((await put(itself, "1.0.0", { queue: `${URL_OF}/theirs` })).json.code).toBe("queue_not_yours");
  expect((await put(itself, "1.0.0")).status).toBe(201);
  expect((await put(itself, "1.1.0", { queue: `${URL_OF}/theirs` })).json.code).toBe("queue_not_yours");
  const named = { queue: `${URL_OF}/own` };
  expect((await put(admin, "1.2.0", named)).json.queue.url).toBe(`${URL_OF}/own`);
  expect((await put(itself, "1.3.0")).json).toMatchObject({ status: 403, code: "queue_not_yours" });
  expect((await put(itself, "1.4.0", named)).json.queue.url).toBe(`${URL_OF}/own`);
  expect((await put(admin, "1.5.0")).status).toBe(200);
});

test("what another team is told to make is a queue of its own name", async () => {
  const red = await newTeam(db, "red");
  await put(red, "1.0.0");

  const { json } = await call(getAgent, "/agents/writer", { params: { name: "writer" }, as: red });

  expect(json.queue).toMatchObject({ url: null, status: "missing" });
  expect(json.queue.todo).toMatch(/no queue \S+-agent-TEAM-red_writer\./);
  expect(json.queue.todo).not.toMatch(/-agent-writer/);
});
