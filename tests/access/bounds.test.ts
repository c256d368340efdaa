import { randomUUID } from "node:crypto";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { handler as manageAgent } from "../../functions/agents/manage-agent.ts";
import { type Caller, DEFAULT_TEAM } from "../../lib/access/actor.ts";
import { createKey } from "../../lib/access/keys/keys.ts";
import { deleteMember, listMembers, putMember } from "../../lib/access/members/members.ts";
import { migrate } from "../../lib/migrations/migrator.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { newPerson, newTeam } from "../support/database/teams.ts";
import { call } from "../support/http/events.ts";

const db = connect();
let red: Caller;

beforeAll(async () => {
  red = await newTeam(db, "red");
});
afterAll(async () => {
  await db.end();
});

const wish = { kind: "service", role: "member", scopes: null, user: undefined, agent: undefined } as const;
const unbounded = { expires_at: null, requests_per_second: null, bytes_per_day: null };

test("a login that may make roles and is no superuser migrates, and may act for teams then", async () => {
  const admin = postgres(process.env["WAYBILL_TEST_POSTGRES"] ?? "", { max: 1, onnotice: () => {} });
  const name = `owner_${randomUUID().slice(0, 8)}`;
  try {
    await admin.unsafe(`create role ${name} login createrole`);
    // As from Postgres 16 on who has made a role has it.
    await admin.unsafe(`grant waybill_team, waybill_system to ${name} with admin true, inherit false, set false`);
    await admin.unsafe(`create database ${name} owner ${name}`);
    const url = new URL(process.env["WAYBILL_TEST_POSTGRES"] ?? "");
    Object.assign(url, { username: name, pathname: `/${name}` });
    await migrate({ command: "up" }, { DATABASE_URL: url.href });
    const own = postgres(url.href, { max: 1 });
    await own.begin(async (tx) => {
      await tx`select enter_team(${DEFAULT_TEAM}, null)`;
      expect(await tx`select from tasks`).toEqual([]);
    });
    await own.end();
  } finally {
    await admin.unsafe(`drop database if exists ${name} with (force)`);
    await admin.unsafe(`drop role if exists ${name}`);
    await admin.end();
  }
}, 60_000);

test("no team names another's queue for its agent, nor an address", async () => {
  for (const queue of ["waybill-agent-code", "http://127.0.0.1:9/1/waybill-agent-code"]) {
    const body = { name: "code", version: "1.0.0", capabilities: ["x"], work_types: ["code.*"], queue };
    const options = { method: "PUT", body, as: red, params: { name: "code" } };
    expect(await call(manageAgent, "/agents/code", options)).toMatchObject({
      status: 400,
      json: { code: "invalid_definition" },
    });
  }
});

test("a subject is said by owners of the team default alone, by a whole key, and told to them alone", async () => {
  const subject = `https://idp|${randomUUID()}`;
  const name = `vic-${randomUUID()}`;
  const put = async (actor: Caller, more: object = {}) =>
    await db.begin(async (tx) => await putMember(tx, actor, name, { role: "viewer", ...more }));
  const owner = await newPerson(db, DEFAULT_TEAM, `boss-${randomUUID()}`, "owner");

  await expect(put(red, { subject })).rejects.toMatchObject({ status: 403, code: "subject_not_yours" });
  await expect(put({ ...owner, scopes: ["access:write"] }, { subject })).rejects.toMatchObject({ status: 403 });
  expect(await put(owner, { subject })).toMatchObject({ subject });
  await expect(put(owner, { subject: `${subject}2` })).rejects.toMatchObject({ status: 409 });
  expect(await put(red)).toMatchObject({ subject: null });
  const { items } = await listMembers(db, red, { limit: 100 });
  expect(items.map((item) => item.subject)).toEqual(items.map(() => null));
});

test("who was an owner a minute ago decides about members no more", async () => {
  const late = await newPerson(db, red.team, `late-${randomUUID()}`, "viewer");
  const asOwner: Caller = { ...late, role: "owner" };

  const lift = db.begin(async (tx) => await putMember(tx, asOwner, late.name, { role: "owner" }));
  await expect(lift).rejects.toMatchObject({ status: 403, code: "role_too_low" });
  await expect(db.begin(async (tx) => await deleteMember(tx, asOwner, red.name))).rejects.toMatchObject({
    status: 403,
  });
});

test("a key makes none that is good for longer, or for more, than itself", async () => {
  const maker = await newPerson(db, red.team, `maker-${randomUUID()}`, "admin");
  const keyId = randomUUID();
  const expires_at = new Date(Date.now() + 60_000).toISOString();
  await createKey(db, maker, {
    ...wish,
    ...unbounded,
    name: `short-${keyId}`,
    keyId,
    expires_at,
    requests_per_second: 5,
  });
  const short: Caller = { ...maker, keyId };
  const make = async (more: object) =>
    await createKey(db, short, { ...wish, ...unbounded, ...more, name: `k-${randomUUID()}`, keyId: randomUUID() });

  for (const more of [{}, { expires_at }, { requests_per_second: 5 }, { expires_at, requests_per_second: 6 }])
    await expect(make(more)).rejects.toMatchObject({ status: 403, code: "more_than_own" });
  await expect(make({ expires_at, requests_per_second: 5 })).resolves.toMatchObject({ expires_at });
});
