import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Caller, system } from "../../lib/access/actor.ts";
import { REPORT_NAMES, reports } from "../../lib/reports/all.ts";
import type { Queues } from "../../lib/runtime/aws/queues.ts";
import { connect, type Db } from "../../lib/runtime/postgres/db.ts";
import { controlPlane } from "../../lib/wiring/control-plane.ts";
import { bury } from "../../lib/wiring/dead-letters.ts";
import { noQueues, processEdges } from "../../lib/wiring/edges.ts";
import { readPlaneSettings } from "../../lib/wiring/settings.ts";
import { inTeam } from "../../lib/wiring/team.ts";
import { startReady } from "../../lib/wiring/work.ts";
import { ACTOR, TEAM } from "../support/database/actor.ts";
import { defineAgents } from "../support/database/registry.ts";
import { newPerson, newTeam } from "../support/database/teams.ts";
import { worldOf } from "../support/database/world.ts";
import { reply } from "../support/http/events.ts";

const db = connect();
let red: Caller;
let blue: Caller;

/** One piece of work of each kind of end, which leaves a row in every table that work has. */
async function live(actor: Caller): Promise<string[]> {
  const world = worldOf(db, {}, actor);
  const requestId = "5a3c1d8e-0000-4000-8000-000000000001";
  const done = await world.submit({ to_agent: "painter", request_id: requestId, approval: "required" });
  await world.decide("approve", done);
  const cancelled = await world.submit({ to_agent: "painter", hints: { concurrency_key: "one" } });
  await world.dispatch();
  // Its agent is told to stop, which stays in the outbox.
  world.queues.down = true;
  await world.decide("cancel", cancelled);
  world.queues.down = false;
  const request = world.requests().find(({ payload }) => payload.task_id === done);
  if (request === undefined) throw new Error("it was not asked for");
  const step = { step_number: 1, action: "paint", status: "completed" as const };
  await world.record(
    reply(request, "work_status", {
      status: "executing",
      step: { ...step, output: { chunk_number: 0, encoding: "utf8", text: "red" } },
      role: { name: "critic" },
    }),
    reply(request, "work_result", { status: "completed", exit_code: 0, steps: [step] }),
  );
  return [done, cancelled];
}

beforeAll(async () => {
  red = await newTeam(db, "red");
  blue = await newTeam(db, "blue");
  for (const { team } of [red, blue]) {
    const rate = { count: 100, per_seconds: 60 };
    await defineAgents(db, { name: "painter", team, work_types: ["*"], limits: { rate }, queue: `http://q/${team}` });
  }
});
afterAll(async () => {
  await db.end();
});

/** Every table with what waybill_team may do to it, and whether its rows are a team's. */
async function tables() {
  return await db<{ name: string; secured: boolean; may: string[] | null; owned: boolean; policy: string | null }[]>`
    select c.relname as name, c.relrowsecurity as secured,
      (select array_agg(privilege_type order by 1) from aclexplode(c.relacl) where grantee = 'waybill_team'::regrole) as may,
      exists (select from pg_attribute where attrelid = c.oid and attname = 'team_id' and not attisdropped) as owned,
      (
        select string_agg(pg_get_expr(polqual, c.oid), ' or ') from pg_policy
        where polrelid = c.oid and 'waybill_team'::regrole = any(polroles) and polcmd in ('*', 'r')
      ) as policy
    from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') order by 1
  `;
}

/** What is no team's, and may be seen by all. */
const EVERYBODYS = ["llm_switch", "registry_state", "schema_migrations"];

test("every table shows a team its own rows alone, or nothing at all", async () => {
  const open = (await tables()).filter(({ may }) => may !== null);

  expect(open.length).toBeGreaterThan(20);
  for (const { name, secured, owned, policy } of open.filter((one) => !EVERYBODYS.includes(one.name))) {
    expect([name, secured, owned || name === "users"]).toEqual([name, true, true]);
    // In a subselect: read once a statement.
    expect(`${name}: ${policy}`).toMatch(
      name === "users" ? /team_memberships/ : /team_id = \( SELECT .*'waybill\.team'/,
    );
  }
});

test("work of one team leaves no row that is another's, in any table", async () => {
  const [done = ""] = await live(red);

  expect(await db`select status, created_by, created_by_id from tasks where task_id = ${done}`).toEqual([
    { status: "completed", createdBy: red.name, createdById: red.id },
  ]);
  const written: string[] = [];
  for (const { name, owned } of (await tables()).filter((one) => !/_\d{4}_\d{2}$|_default$/.test(one.name))) {
    if (!owned || name === "teams" || name.startsWith("agent_def") || name === "agent_presence") continue;
    // The agents that ship were stored for the team default; audit.test.ts asks what a team sees.
    if (name === "audit_events") continue;
    const rows = await db<{ teamId: string }[]>`select distinct team_id from ${db(name)} where team_id <> ${TEAM}`;
    const others = await db`select from ${db(name)} where team_id = ${TEAM}`;
    expect([
      name,
      others.length,
      rows.every(({ teamId }) => teamId === red.team || name === "team_memberships"),
    ]).toEqual([name, 0, true]);
    if (rows.length > 0) written.push(name);
  }
  expect(written).toEqual(
    expect.arrayContaining([
      "agent_performance",
      "agent_rate",
      "agent_transformation_events",
      "execution_logs",
      "execution_output",
      "outbox",
      "router_performance_metrics",
      "task_attempts",
      "task_decisions",
      "tasks",
    ]),
  );
});

test("a statement that forgets the team sees nothing of another, and changes nothing", async () => {
  await live(blue);
  const seen = async (run: (name: string) => Promise<{ count: number }>) => {
    const counts: Record<string, number> = {};
    for (const { name, may, owned } of await tables())
      if (owned && may?.includes("SELECT")) counts[name] = (await run(name)).count;
    return counts;
  };
  const ofRed = await seen(async (name) => await db`select from ${db(name)} where team_id = ${red.team}`);
  const all = await seen(async (name) => await db`select from ${db(name)}`);
  const asRed = await seen(async (name) => await inTeam({ db }, red, async (tx) => await tx`select from ${tx(name)}`));

  expect(asRed).toEqual(ofRed);
  expect(asRed["tasks"]).toBe(2);
  expect(all["tasks"]).toBeGreaterThan(2);
  await expect(inTeam({ db }, red, async (tx) => await tx`select from teams`)).resolves.toHaveLength(1);
  await expect(inTeam({ db }, red, async (tx) => await tx`select name from users`)).resolves.toEqual([
    { name: red.name },
  ]);
  const changed = await inTeam(
    { db },
    red,
    async (tx) => await tx`update tasks set priority = 9 where team_id = ${blue.team}`,
  );
  expect(changed.count).toBe(0);
  const move = inTeam({ db }, red, async (tx) => await tx`update tasks set team_id = ${blue.team}`);
  await expect(move).rejects.toMatchObject({ code: "42501" });
  const make = inTeam({ db }, red, async (tx) => await tx`insert into teams (name) values ('green')`);
  await expect(make).rejects.toMatchObject({ code: "42501" });
});

test("without a team nothing is seen, and the role ends with its transaction", async () => {
  const nobody = await db.begin(async (tx) => {
    await tx`set local role waybill_team`;
    return [await tx`select from tasks`, await tx`select from users`, await tx`select from teams`].map(
      ({ length }) => length,
    );
  });

  expect(nobody).toEqual([0, 0, 0]);
  await inTeam({ db }, red, async (tx) => await tx`select 1`);
  const [after] = await db<{ role: string; team: string | null }[]>`
    select current_user as role, current_setting('waybill.team', true) as team
  `;
  expect(after?.role).not.toBe("waybill_team");
  expect(after?.team ?? "").toBe("");
});

test("teams have agents, keys and request ids of the same names, and each work goes to the queue of its own", async () => {
  const to: Record<string, string> = {};
  const send: Queues["send"] = async (messages) => {
    for (const { id, body, queueUrl } of messages) to[JSON.parse(body).payload.task_id ?? id] = queueUrl;
    return { sent: messages.map(({ id }) => id) };
  };
  const edges = processEdges({ ...noQueues, send }, db);
  const plane = controlPlane({ settings: readPlaneSettings(process.env), edges });
  const work = { to_agent: "painter", request_id: randomUUID(), hints: { concurrency_key: "k" } };

  const [mine, theirs] = [await worldOf(db, {}, red).submit(work), await worldOf(db, {}, blue).submit(work)];
  await startReady(plane, system("test"));

  expect(mine).not.toBe(theirs);
  expect([to[mine], to[theirs]]).toEqual([`http://q/${red.team}`, `http://q/${blue.team}`]);
  await db`update agent_definitions set active = false where team_id = ${blue.team}`;
  const refused = worldOf(db, {}, blue).submit({ ...work, request_id: randomUUID() });
  await expect(refused).rejects.toMatchObject({
    status: 400,
    message: expect.stringContaining("There are no agents yet"),
  });
  await db`update agent_definitions set active = true where team_id = ${blue.team}`;
});

test("what cannot be read of an agent's word is answered to the agent of that team", async () => {
  const to: string[] = [];
  const send: Queues["send"] = async (messages) => {
    to.push(...messages.map(({ queueUrl }) => queueUrl));
    return { sent: messages.map(({ id }) => id) };
  };
  const edges = processEdges({ ...noQueues, send, deadLetterUrl: async () => "http://q/dead" }, db);
  // The environment names an agent of that name, which is the default team's.
  const settings = readPlaneSettings({ ...process.env, AGENT_QUEUES: '{"painter":"http://q/default"}' });
  const plane = controlPlane({ settings, edges });
  const [id = ""] = (await db<{ taskId: string }[]>`select task_id from tasks where team_id = ${red.team}`).map(
    ({ taskId }) => taskId,
  );
  const said = { type: "work_status", from_agent: "painter", payload: { task_id: id } };
  const about = (remains: object) => ({
    record: { messageId: randomUUID(), eventSourceARN: "arn", body: JSON.stringify(said), attributes: {} } as never,
    kind: "invalid" as const,
    refusal: { error_code: 5003 as const, remains, reason: "no", isError: false },
  });

  await bury(plane, [about({ from_agent: "painter", task_id: id }), about({ from_agent: "painter" })]);

  expect(to.filter((url) => url !== "http://q/dead")).toEqual([`http://q/${red.team}`, "http://q/default"]);
});

test("another team's work is not there: for decisions, pages and reports", async () => {
  const [id = ""] = (await db<{ taskId: string }[]>`select task_id from tasks where team_id = ${blue.team}`).map(
    ({ taskId }) => taskId,
  );

  await expect(worldOf(db, {}, red).decide("cancel", id)).rejects.toMatchObject({ status: 404 });
  // Asked for by a caller of red, over the pool of the system, where row level security says nothing: by the queries alone.
  for (const name of REPORT_NAMES.filter((one) => one !== "task-timeline")) {
    const { rows } = await reports[name].run(db, red, {});
    expect(`${name}: ${JSON.stringify(rows)}`).not.toContain(id);
  }
  const statuses = (await reports["tasks-by-status"].run(db, red, {})).rows;
  const counted = await db`select count(*)::int as n from tasks where team_id = ${red.team}`;
  expect(statuses.reduce((sum, { tasks: n }) => sum + Number(n), 0)).toBe(counted[0]?.["n"]);
  await expect(reports["task-timeline"].run(db, red, { task_id: id })).rejects.toMatchObject({ status: 404 });
  expect((await reports["tasks-by-status"].run(db, ACTOR, {})).rows.every(({ tasks: n }) => n === 0)).toBe(true);
});

test("a member cancels its own work and no other's, an admin any", async () => {
  const member = await newPerson(db, red.team, "mia@red.test", "member");
  const [own, others] = [worldOf(db, {}, member), worldOf(db, {}, red)];
  const [hers, his] = [await own.submit({ to_agent: "painter" }), await others.submit({ to_agent: "painter" })];

  await expect(own.decide("cancel", his)).rejects.toMatchObject({ status: 403, code: "not_yours" });
  await expect(own.decide("cancel", hers)).resolves.toMatchObject({ status: "cancelled" });
  await expect(others.decide("cancel", his)).resolves.toMatchObject({ status: "cancelled" });
});

test("who did it is the caller, whatever the body says; a service may say for whom", async () => {
  const service: Caller = { ...red, kind: "service", name: "key:ci", id: randomUUID() };
  const [person, robot] = [worldOf(db, {}, red), worldOf(db, {}, service)];

  await expect(person.submit({ created_by: "somebody" })).rejects.toMatchObject({ status: 403, code: "not_yourself" });
  await expect(person.submit({ on_behalf_of: "ada" })).rejects.toMatchObject({ status: 403, code: "not_a_service" });
  const id = await robot.submit({ to_agent: "painter", on_behalf_of: "ada", approval: "required" });
  await expect(person.decide("approve", id, "somebody")).rejects.toMatchObject({ status: 403 });
  await person.decide("approve", id);
  const [kept] = await db`
    select created_by, tasks.on_behalf_of, decided_by, decided_by_id
    from tasks join task_decisions using (task_id) where task_id = ${id}
  `.then((rows) => rows.map((row) => ({ ...row })));
  expect(kept).toMatchObject({ createdBy: "key:ci", onBehalfOf: "ada", decidedBy: red.name, decidedById: red.id });
});

test("a key that is revoked or has expired is good for nothing from then on", async () => {
  const keyId = randomUUID();
  const hash = Buffer.alloc(32);
  await db`
    insert into api_keys (key_id, team_id, name, prefix, secret_hash, role, user_id, created_by)
    values (${keyId}, ${red.team}, 'k', 'wb_000000000000', ${hash}, 'owner', ${red.id}, 'a test')
  `;
  const world = worldOf(db, {}, { ...red, keyId });
  const see = async (tx: Db) => await tx`select 1`;
  await world.submit({ to_agent: "painter" });
  const before = (await db`select from tasks`).length;

  for (const set of [db`revoked_at = now(), revoked_by = 'ada'`, db`expires_at = now() - interval '1 s'`]) {
    await db`update api_keys set revoked_at = null, revoked_by = null, expires_at = null`;
    await db`update api_keys set ${set} where key_id = ${keyId}`;
    await expect(inTeam({ db }, { ...red, keyId }, see)).rejects.toMatchObject({ status: 401, code: "key_not_valid" });
    await expect(world.submit({ to_agent: "painter" })).rejects.toMatchObject({ status: 401 });
  }
  expect((await db`select from tasks`).length).toBe(before);
});

test("a login that owns nothing does all that the functions do, and no more", async () => {
  const login = `app_${randomUUID().slice(0, 8)}`;
  await db`create role ${db(login)} login in role waybill_system, waybill_team`;
  const url = new URL(process.env["DATABASE_URL"] ?? "");
  url.username = login;
  const app = connect({ ...process.env, DATABASE_URL: url.href });
  try {
    const world = worldOf(app, {}, blue);
    const id = await world.submit({ to_agent: "painter" });
    await world.dispatch();
    const request = world.requests().find(({ payload }) => payload.task_id === id);
    if (request === undefined) throw new Error("it was not asked for");
    await world.record(reply(request, "work_result", { status: "completed", exit_code: 0 }));
    await world.silence();
    await world.expire();
    await world.leftovers();

    expect((await app`select status from tasks where task_id = ${id}`)[0]).toMatchObject({ status: "completed" });
    await expect(
      inTeam({ db: app }, red, async (tx) => await tx`select from tasks where task_id = ${id}`),
    ).resolves.toEqual([]);
    await expect(app`alter table tasks disable row level security`).rejects.toMatchObject({ code: "42501" });
    await expect(app`drop table tasks`).rejects.toMatchObject({ code: "42501" });
  } finally {
    await app.end();
    await db`drop role ${db(login)}`;
  }
});
