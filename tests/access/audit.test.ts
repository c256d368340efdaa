import { randomUUID } from "node:crypto";
import { beforeEach, expect, test } from "vitest";
import { handler as getAudit } from "../../functions/access/get-audit.ts";
import { handler as manageAccess } from "../../functions/access/manage-access.ts";
import { handler as manageAgent } from "../../functions/agents/manage-agent.ts";
import { handler as decideWork } from "../../functions/work/decide-work.ts";
import { handler as submitWork } from "../../functions/work/submit-work.ts";
import { type Caller, system } from "../../lib/access/actor.ts";
import { createKey } from "../../lib/access/keys/keys.ts";
import { CreateKey } from "../../lib/access/keys/schema.ts";
import { foundTeam } from "../../lib/access/operator/teams.ts";
import { setSwitch } from "../../lib/llm/accounts/queries.ts";
import { uuidv7 } from "../../lib/runtime/ids.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { inTeam } from "../../lib/wiring/team.ts";
import { defineAgents } from "../support/database/registry.ts";
import { newPerson, newTeam } from "../support/database/teams.ts";
import { call, type Reply } from "../support/http/events.ts";

const db = connect();
let admin: Caller;
let teams = 0;

beforeEach(async () => {
  teams += 1;
  admin = await newTeam(db, `audited-${teams}`);
  await defineAgents(db, { name: "painter", team: admin.team, work_types: ["*"], queue: "http://q/painter" });
});

type Told = { actor: string; action: string; object_id: string; details: Record<string, unknown> };

const events = async (query = "", as = admin) => {
  const { json } = await call(getAudit, `/audit?limit=1000${query}`, { as });
  return (json.items as Told[]).toReversed();
};
const actions = async () => (await events()).map(({ action }) => action);

async function ask(handler: unknown, method: string, path: string, body?: object, as = admin): Promise<Reply> {
  const [, , named = ""] = path.split("/");
  const params = { task_id: named, key_id: named, name: named };
  return await call(handler, path, { method, as, params, ...(body === undefined ? {} : { body }) });
}

const submit = async (more: object = {}, as = admin) =>
  await ask(
    submitWork,
    "POST",
    "/work",
    { request_text: "secret text", work_type: "paint", to_agent: "painter", ...more },
    as,
  );
const decide = async (id: string, verb: string, body: object = {}, as = admin) =>
  await ask(decideWork, "POST", `/work/${id}/${verb}`, body, as);

test("each change of work writes one event, by who made it", async () => {
  const first = await submit({ approval: "required", parameters: { token: "hidden" } });
  expect(first.status).toBe(201);
  const id: string = first.json.task_id;
  for (const verb of ["approve", "cancel", "retry", "cancel"]) {
    expect([verb, (await decide(id, verb, { reason: "as it is" })).status]).toEqual([verb, 200]);
  }
  const rejected = (await submit({ approval: "required" })).json.task_id;
  await decide(rejected, "reject", { reason: "no" });
  expect((await ask(submitWork, "POST", `/work/${rejected}/rerun`, {})).status).toBe(201);
  expect((await ask(decideWork, "DELETE", `/work/${rejected}`)).status).toBe(204);

  const told = await events();
  expect(told.map(({ action }) => action)).toEqual([
    "work.submitted",
    "work.approved",
    "work.cancelled",
    "work.retried",
    "work.cancelled",
    "work.submitted",
    "work.rejected",
    "work.rerun",
    "work.deleted",
  ]);
  expect(told[0]).toMatchObject({
    actor: admin.name,
    actor_kind: "user",
    actor_id: admin.id,
    team_id: admin.team,
    object_kind: "work",
    object_id: id,
    details: { status: "pending", work_type: "paint", agent: "painter" },
    trace_id: first.headers["x-trace-id"],
  });
  expect(told[1]).toMatchObject({ reason: "as it is", details: { before: "pending", after: "approved" } });
  expect(JSON.stringify(told)).not.toMatch(/hidden|secret text/);
});

test("a handover, feedback and a new definition write one each", async () => {
  await defineAgents(db, { name: "critic", team: admin.team, work_types: ["*"], queue: "http://q/critic" });
  const { task_id } = (await submit()).json;
  expect((await decide(task_id, "handover", { to_agent: "critic", reason: "better" })).status).toBe(200);
  await db`
    update tasks set status = 'completed', completed_at = now(), started_at = now(), ready_at = null, exit_code = 0 where task_id = ${task_id}
  `;
  expect((await decide(task_id, "feedback", { score: 0.5, comment: "so so" })).json).toMatchObject({ score: 0.5 });
  const raw = JSON.stringify({ name: "scribe", version: "1.0.0", description: "Writes.", routable: false });
  const put = { method: "PUT", as: admin, params: { name: "scribe" }, raw };
  expect((await call(manageAgent, "/agents/scribe", put)).json).toMatchObject({ name: "scribe" });
  await call(manageAgent, "/agents/scribe", put);

  expect((await events()).map(({ action, details }) => [action, details]).slice(1)).toEqual([
    ["work.handed_over", { from: "painter", to: "critic" }],
    ["work.feedback", { score: 0.5 }],
    ["agent.stored", { version: "1.0.0", outcome: "created" }],
  ]);
});

test("what is said again, refused or rolled back writes none", async () => {
  const request_id = randomUUID();
  const { task_id } = (await submit({ request_id, approval: "required" })).json;
  expect((await submit({ request_id, approval: "required" })).status).toBe(200);
  expect((await submit({ request_id, approval: "required", priority: 9 })).status).toBe(409);
  expect((await decide(task_id, "retry")).status).toBe(409);
  expect((await ask(decideWork, "DELETE", `/work/${task_id}`)).status).toBe(409);
  await inTeam({ db }, admin, async (tx) => {
    await createKey(tx, admin, { ...CreateKey.parse({ name: "gone", kind: "service" }), keyId: uuidv7() });
    throw new Error("rolled back");
  }).catch(() => {});

  expect(await actions()).toEqual(["work.submitted"]);
});

test("keys, members and agents", async () => {
  const made = await ask(manageAccess, "POST", "/keys", { name: "ci", kind: "service", role: "member" });
  const key = `/keys/${made.json.key_id}`;
  expect((await ask(manageAccess, "POST", "/keys", { name: "ci", kind: "service" })).status).toBe(409);
  await ask(manageAccess, "POST", `${key}/rotate`, {});
  await ask(manageAccess, "DELETE", key);
  await ask(manageAccess, "DELETE", key);
  await ask(manageAccess, "PUT", `/members/bob-${teams}`, { role: "viewer" });
  await ask(manageAccess, "PUT", `/members/bob-${teams}`, { role: "member" });
  await ask(manageAccess, "DELETE", `/members/bob-${teams}`);
  expect((await ask(manageAgent, "DELETE", "/agents/painter")).status).toBe(200);
  await ask(manageAgent, "DELETE", "/agents/painter");

  const told = await events();
  expect(told.map(({ action, object_id, details }) => [action, object_id, details])).toEqual([
    ["key.created", made.json.key_id, { name: "ci", kind: "service", role: "member" }],
    ["key.rotated", made.json.key_id, { grace_seconds: 3600 }],
    ["key.revoked", made.json.key_id, {}],
    ["member.put", `bob-${teams}`, { before: null, after: "viewer" }],
    ["member.put", `bob-${teams}`, { before: "viewer", after: "member" }],
    ["member.removed", `bob-${teams}`, { keys_revoked: 0 }],
    ["agent.deactivated", "painter", {}],
  ]);
  expect(JSON.stringify(told)).not.toContain(made.json.key.slice(16));
});

test("what whoever runs Waybill does on the database", async () => {
  const operator = system("waybill teams");
  const name = `founded-${teams}`;
  const { team_id } = await db.begin(
    async (tx) => await foundTeam(tx, operator, { name, owner: `${name}-owner`, keyId: uuidv7() }),
  );
  await setSwitch(db, system("llm-switch"), true, "cheap again");

  const rows = await db`
    select actor_kind, actor, action, reason from audit_events
    where team_id = ${team_id} or (action = 'switch.set' and team_id is null) order by audit_id
  `;
  expect(rows).toEqual([
    { actorKind: "system", actor: "waybill teams", action: "team.created", reason: null },
    { actorKind: "system", actor: "waybill teams", action: "key.created", reason: null },
    { actorKind: "system", actor: "llm-switch", action: "switch.set", reason: "cheap again" },
  ]);
});

test("refused attempts are kept, at most one a second of each, and too many calls are none", async () => {
  const viewer = await newPerson(db, admin.team, `viewer-${teams}`, "viewer");
  const told = await submit({}, viewer);
  expect(told.status).toBe(403);
  await submit({}, viewer);

  expect(await events()).toMatchObject([
    {
      actor: viewer.name,
      action: "access.refused",
      object_kind: "call",
      object_id: "submitWork",
      reason: "role_too_low",
      details: { status: 403 },
      trace_id: told.headers["x-trace-id"],
    },
  ]);
  await call(submitWork, "/work", { body: {}, as: null });
  const [stranger] = await db`
    select actor_kind, reason from audit_events where team_id is null and action = 'access.refused' order by audit_id desc limit 1
  `;
  expect(stranger).toEqual({ actorKind: "unknown", reason: "credentials_missing" });
});

test("a team sees its own events alone, newest first, by what it asks for, in pages and as lines", async () => {
  const other = await newTeam(db, `beside-${teams}`);
  await defineAgents(db, { name: "painter", team: other.team, work_types: ["*"], queue: "http://q/other" });
  await submit({}, other);
  for (let i = 0; i < 5; i++) await submit();
  const { task_id } = (await submit({ approval: "required" })).json;
  await decide(task_id, "reject");

  expect((await events("", other)).map(({ action }) => action)).toEqual(["work.submitted"]);
  expect(await events("&action=work.rejected")).toHaveLength(1);
  expect(await events(`&object_id=${task_id}`)).toHaveLength(2);
  expect(await events("&actor=nobody")).toHaveLength(0);
  expect(await events("&before=2020-01-01T00:00:00Z")).toHaveLength(0);
  expect(await events("&after=2020-01-01T00:00:00Z")).toHaveLength(7);

  const lines: string[] = [];
  let cursor: string | undefined = "";
  while (cursor !== undefined) {
    const page: Reply = await call(getAudit, `/audit?limit=3${cursor}`, {
      as: admin,
      headers: { accept: "application/x-ndjson" },
    });
    expect(page.headers["content-type"]).toBe("application/x-ndjson");
    lines.push(...page.text.trimEnd().split("\n"));
    const next = page.headers["x-next-cursor"];
    cursor = next === undefined ? undefined : `&cursor=${next}`;
  }
  expect(lines.map((line) => JSON.parse(line))).toEqual((await events()).toReversed());
});

test("nobody changes or deletes an event, whatever its role", async () => {
  await submit();
  const [{ partition } = { partition: "" }] = await db<{ partition: string }[]>`
    select tableoid::regclass::text as partition from audit_events where team_id = ${admin.team}
  `;
  for (const role of ["none", "waybill_system", "waybill_team"]) {
    for (const text of [
      "update audit_events set actor = 'eve'",
      "update audit_events set chain_seq = 1, hash = sha256(''), actor = 'eve'",
      "delete from audit_events",
      "truncate audit_events",
      `delete from ${partition}`,
    ]) {
      const run = db.begin(async (tx) => {
        await tx`select set_config('waybill.team', ${admin.team}, true)`;
        await tx.unsafe(`set local role ${role}`);
        await tx.unsafe(text);
      });
      await expect(run, `${role}: ${text}`).rejects.toMatchObject({ code: "42501" });
    }
  }
  const forge = async (team: string, seq: number | null) =>
    await inTeam({ db }, admin, async (tx) => {
      await tx`
        insert into audit_events (team_id, actor_kind, actor, action, object_kind, chain_seq, hash)
        values (${team}, 'user', 'eve', 'work.approved', 'work', ${seq}, ${seq === null ? null : Buffer.alloc(32)})
      `;
    });
  await expect(forge(randomUUID(), null)).rejects.toMatchObject({ code: "42501" });
  await expect(forge(admin.team, 7)).rejects.toMatchObject({ code: "42501" });
  expect(await actions()).toEqual(["work.submitted"]);
});

test("deleted work is forgotten but for the fact, and what may not be deleted is not forgotten", async () => {
  await defineAgents(db, { name: "critic", team: admin.team, work_types: ["*"], queue: "http://q/critic" });
  const { task_id } = (await submit()).json;
  await decide(task_id, "handover", { to_agent: "critic", reason: "said in private", context: { note: "private" } });
  const attempt = randomUUID();
  await db`
    insert into llm_calls (attempt_id, call_id, attempt_number, task_id, trace_id, chain, dialect, model, model_asked, provider, external,
      streamed, usage_source, cost_usd, latency_ms, outcome, started_at, team_id)
    values (${attempt}, ${randomUUID()}, 1, ${task_id}, ${randomUUID()}, 'c', 'chat', 'm', 'm', 'p', true, false, 'none', 1, 1, 'answered',
      now(), ${admin.team})
  `;
  await db`insert into llm_texts (attempt_id, team_id, prompt) values (${attempt}, ${admin.team}, 'private')`;
  const remove = async () => (await ask(decideWork, "DELETE", `/work/${task_id}`)).status;
  const texts = async () => (await db`select from llm_texts where attempt_id = ${attempt}`).length;
  expect(await remove()).toBe(409);
  expect(await texts()).toBe(1);
  await decide(task_id, "cancel");

  expect(await remove()).toBe(204);
  expect(await texts()).toBe(0);
  expect(await db`select cost_usd::float8 from llm_calls where attempt_id = ${attempt}`).toEqual([{ costUsd: 1 }]);
  const handovers =
    await db`select context_snapshot::text as kept from agent_transformation_events where task_id = ${task_id}`;
  expect(handovers).toHaveLength(1);
  expect(handovers[0]?.["kept"]).not.toContain("private");
  expect((await events()).at(-1)).toMatchObject({ action: "work.deleted", object_id: task_id });
});
