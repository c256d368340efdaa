import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, expect, test } from "vitest";
import { handler as manageAccess } from "../../functions/access/manage-access.ts";
import { type Caller, DEFAULT_TEAM, system } from "../../lib/access/actor.ts";
import { findKey } from "../../lib/access/keys/find.ts";
import { createKey } from "../../lib/access/keys/keys.ts";
import { CreateKey } from "../../lib/access/keys/schema.ts";
import { putMember } from "../../lib/access/members/members.ts";
import { uuidv7 } from "../../lib/runtime/ids.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { newTeam } from "../support/database/teams.ts";
import { call } from "../support/http/events.ts";

const db = connect();
const SYSTEM = system("test", DEFAULT_TEAM);
let owner: Caller;

/** Makes a key as the system does and answers who calls by it. */
async function callerBy(wish: Partial<CreateKey> & { name: string }): Promise<{ key: string; caller: Caller }> {
  const { key } = await createKey(db, SYSTEM, { ...CreateKey.parse(wish), keyId: uuidv7() });
  const found = await findKey(db, key);
  if ("refused" in found) throw new Error(found.refused);
  return { key, caller: found.caller };
}

beforeEach(async () => {
  await db`delete from api_keys`;
  await db`delete from team_memberships`;
  await db`delete from users`;
  await db.begin(async (tx) => await putMember(tx, SYSTEM, "olga", { role: "owner" }));
  owner = (await callerBy({ name: "olga", user: "olga", role: "owner" })).caller;
});

const make = async (body: object, as: Caller = owner) => await call(manageAccess, "/keys", { body, as });
const one = { method: "DELETE" } as const;

test("a key is answered whole once, and kept as a hash alone", async () => {
  const made = await make({ name: "ci", kind: "service", role: "member", scopes: ["work:write", "work:read"] });

  expect(made.status).toBe(201);
  const { key, prefix } = made.json;
  expect(key).toMatch(/^wb_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}$/);
  expect(key.startsWith(prefix)).toBe(true);
  const found = await findKey(db, key);
  expect(found).toMatchObject({
    caller: {
      kind: "service",
      name: "key:ci",
      role: "member",
      scopes: ["work:read", "work:write"],
      team: DEFAULT_TEAM,
    },
    until: null,
  });
  const listed = await call(manageAccess, "/keys?limit=1", { as: owner });
  expect(listed.json.items).toMatchObject([{ name: "ci", kind: "service", created_by: "olga" }]);
  expect(listed.json.next_cursor).not.toBeNull();
  expect(listed.text).not.toContain(key.slice(16));
  const [dump] = await db<{ text: string }[]>`select string_agg(k::text, ' ') as text from api_keys as k`;
  expect(dump?.text).not.toContain(key.slice(16));
});

test("its name is free again once it is revoked, which says nothing new the second time", async () => {
  const first = await make({ name: "ci", kind: "service" });
  expect((await make({ name: "ci", kind: "service" })).json.code).toBe("key_name_taken");
  const params = { key_id: first.json.key_id };
  const path = `/keys/${params.key_id}`;

  const revoked = await call(manageAccess, path, { ...one, params, as: owner });
  expect(revoked.json).toMatchObject({ revoked_by: "olga" });
  expect((await call(manageAccess, path, { ...one, params, as: owner })).json).toEqual(revoked.json);
  expect(await findKey(db, first.json.key)).toEqual({ refused: "key_revoked" });
  expect((await make({ name: "ci", kind: "service" })).status).toBe(201);
  expect((await call(manageAccess, "/keys?revoked=true", { as: owner })).json.items).toHaveLength(1);
});

test("after a rotation both secrets are good for the grace, and then the new one alone", async () => {
  const first = await make({ name: "ci", kind: "service" });
  const params = { key_id: first.json.key_id };
  const rotate = async (body?: object) =>
    await call(manageAccess, `/keys/${params.key_id}/rotate`, {
      method: "POST",
      params,
      as: owner,
      ...(body && { body }),
    });

  const second = await rotate();
  expect(second.json.previous_until).not.toBeNull();
  expect(second.json.prefix).toBe(first.json.prefix);
  for (const { json } of [first, second]) expect(await findKey(db, json.key)).toHaveProperty("caller");
  await db`update api_keys set previous_until = now() where previous_until is not null`;
  expect(await findKey(db, first.json.key)).toEqual({ refused: "key_unknown" });

  const third = await rotate({ grace_seconds: 0 });
  expect(await findKey(db, second.json.key)).toEqual({ refused: "key_unknown" });
  expect(await findKey(db, third.json.key)).toHaveProperty("caller");
  await call(manageAccess, `/keys/${params.key_id}`, { ...one, params, as: owner });
  expect((await rotate()).json.code).toBe("key_over");
  expect((await rotate({ grace_seconds: 604_801 })).status).toBe(400);
});

test("the secret before a rotation does what its key does, but makes, rotates and revokes none", async () => {
  const first = await make({ name: "boss", kind: "service", role: "owner" });
  const params = { key_id: first.json.key_id };
  const path = `/keys/${params.key_id}`;
  const second = await call(manageAccess, `${path}/rotate`, { method: "POST", params, as: owner });
  const asCaller = async (key: string) => {
    const outcome = await findKey(db, key);
    return "caller" in outcome ? outcome.caller : null;
  };
  const [earlier, now] = [await asCaller(first.json.key), await asCaller(second.json.key)];
  const tries = async (as: Caller | null) => [
    await call(manageAccess, "/keys", { body: { name: "mine", kind: "service" }, as }),
    await call(manageAccess, "/members/eve", { method: "PUT", params: { name: "eve" }, body: { role: "owner" }, as }),
    await call(manageAccess, `${path}/rotate`, { method: "POST", params, as }),
    await call(manageAccess, path, { ...one, params, as }),
  ];

  for (const { status, json } of await tries(earlier)) {
    expect([status, json.code, json.detail]).toEqual([403, "earlier_secret", expect.stringContaining("new secret")]);
  }
  expect(earlier?.scopes).toContain("work:write");
  expect((await tries(now)).map(({ status }) => status)).toEqual([201, 200, 200, 200]);
});

test("nobody gives more than it has, or another person's name but an owner", async () => {
  await db.begin(async (tx) => await putMember(tx, SYSTEM, "ada", { role: "admin" }));
  const { caller: admin } = await callerBy({ name: "ada", user: "ada", role: "admin" });
  const { caller: narrow } = await callerBy({
    name: "n",
    user: "ada",
    role: "admin",
    scopes: ["access:write", "work:read"],
  });

  expect((await make({ name: "a", kind: "service", role: "owner" }, admin)).json.code).toBe("role_too_low");
  expect((await make({ name: "b", user: "olga" }, admin)).json.code).toBe("not_yours");
  expect((await make({ name: "c", user: "ada" }, owner)).status).toBe(201);
  expect((await make({ name: "d", role: "admin" }, admin)).json).toMatchObject({ user: "ada", role: "admin" });
  expect((await make({ name: "e", scopes: ["work:write"] }, narrow)).json.code).toBe("scope_missing");
  expect((await make({ name: "f" }, narrow)).json.scopes).toEqual(["access:write", "work:read"]);
  expect((await make({ name: "g", kind: "agent", agent: "code" }, admin)).json).toMatchObject({
    role: null,
    agent: "code",
  });
  const olgas = owner.keyId ?? "";
  const params = { key_id: olgas };
  const rotated = await call(manageAccess, `/keys/${olgas}/rotate`, { method: "POST", params, as: admin });
  expect(rotated.status).toBe(403);
});

test.each([
  { name: "x", kind: "agent" },
  { name: "x", kind: "service", agent: "code" },
  { name: "x", kind: "service", user: "olga" },
  { name: "X" },
  { name: "x", expires_at: "2020-01-01T00:00:00Z" },
  { name: "x", scopes: ["work:all"] },
  { name: "x", requests_per_second: 0 },
])("a key that cannot be is refused: %j", async (body) => {
  expect((await make(body)).status).toBe(400);
});

test("a key is not the team's where it is another team's", async () => {
  const stranger = await newTeam(db, "other");
  const key = (await make({ name: "ci", kind: "service" })).json;
  const params = { key_id: key.key_id };

  expect((await call(manageAccess, "/keys", { as: stranger })).json.items).toEqual([]);
  expect((await call(manageAccess, `/keys/${key.key_id}`, { ...one, params, as: stranger })).status).toBe(404);
  const rotate = { method: "POST", params, as: stranger };
  expect((await call(manageAccess, `/keys/${key.key_id}/rotate`, rotate)).status).toBe(404);
  expect((await make({ name: "z", user: "olga" }, stranger)).status).toBe(404);
  expect(await findKey(db, key.key)).toHaveProperty("caller");
});

test("a person's key may what its membership may, and ends with it", async () => {
  await db.begin(async (tx) => await putMember(tx, SYSTEM, "ada", { role: "admin" }));
  const { key } = await callerBy({ name: "ada", user: "ada", role: "admin" });
  await db`update team_memberships set role = 'viewer' from users where users.user_id = team_memberships.user_id and name = 'ada'`;

  expect(await findKey(db, key)).toMatchObject({ caller: { role: "viewer" } });
  await db`delete from team_memberships using users where users.user_id = team_memberships.user_id and name = 'ada'`;
  expect(await findKey(db, key)).toEqual({ refused: "membership_ended" });
});

test("what is no key, a wrong secret and an expired key are told apart only for who has the secret", async () => {
  const { key } = await callerBy({ name: "ci", kind: "service" });
  const wrong = `${key.slice(0, -1)}${key.endsWith("0") ? "1" : "0"}`;

  for (const text of ["", "wb_", "wb_x_y", wrong, `${key}0`, "wb_000000000000_".padEnd(59, "0")])
    expect(await findKey(db, text)).toEqual({ refused: "key_unknown" });
  await db`update api_keys set expires_at = now()`;
  expect(await findKey(db, key)).toEqual({ refused: "key_expired" });
  expect(await findKey(db, wrong)).toEqual({ refused: "key_unknown" });
});

test("the last use is kept once a minute, without a wait for whoever has the row", async () => {
  const { key } = await callerBy({ name: "ci", kind: "service" });
  const used = async () =>
    (await db`select last_used_at as at from api_keys where name = 'ci'`)[0]?.["at"] as Date | null;
  const until = async (isSo: (at: Date | null) => boolean) => {
    while (!isSo(await used())) await sleep(10);
    return await used();
  };
  const first = await until((at) => at !== null);
  await findKey(db, key);
  await sleep(50);
  expect(await used()).toEqual(first);

  const other = connect(undefined, undefined, { max: 1 });
  await db`update api_keys set last_used_at = now() - interval '2 minutes'`;
  await other.begin(async (tx) => {
    await tx`select from api_keys where name = 'ci' for update`;
    expect(await findKey(db, key)).toHaveProperty("caller");
    expect(await used()).not.toBeNull();
  });
  await other.end();
  await findKey(db, key);
  await until((at) => at !== null && at.getTime() > Date.now() - 60_000);
});
