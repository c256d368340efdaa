import { beforeEach, expect, test, vi } from "vitest";
import { handler as manageAccess } from "../../functions/access/manage-access.ts";
import { DEFAULT_TEAM, system } from "../../lib/access/actor.ts";
import { findKey } from "../../lib/access/keys/find.ts";
import { createKey, revokeKey } from "../../lib/access/keys/keys.ts";
import { rotateKey } from "../../lib/access/keys/rotate.ts";
import { CreateKey } from "../../lib/access/keys/schema.ts";
import { deleteMember, putMember } from "../../lib/access/members/members.ts";
import { uuidv7 } from "../../lib/runtime/ids.ts";
import { connect, type Db } from "../../lib/runtime/postgres/db.ts";
import { call } from "../support/http/events.ts";
import { ownerNamed } from "../support/http/owner.ts";

const db = connect();
const SYSTEM = system("test", DEFAULT_TEAM);
const owner = ownerNamed("olga");

beforeEach(async () => {
  await db`delete from team_memberships`;
  await db`delete from users`;
  await db.begin(async (tx) => await putMember(tx, SYSTEM, "olga", { role: "owner" }));
});

test("who is in the team an owner says, and there is always an owner", async () => {
  const put = async (name: string, body: object, as = owner) =>
    await call(manageAccess, `/members/${encodeURIComponent(name)}`, { method: "PUT", body, params: { name }, as });
  const remove = async (name: string) =>
    await call(manageAccess, `/members/${name}`, { method: "DELETE", params: { name }, as: owner });

  expect((await put("ada@example.com", { role: "admin" })).json).toMatchObject({
    name: "ada@example.com",
    role: "admin",
  });
  expect((await put("olga", { role: "admin" })).json.code).toBe("last_owner");
  expect((await remove("olga")).json.code).toBe("last_owner");
  expect((await put("bob", { role: "owner" })).status).toBe(200);
  expect((await put("bob", { role: "owner", subject: "https://idp.example|42" })).json.subject).toBe(
    "https://idp.example|42",
  );
  expect((await put("ada@example.com", { role: "admin", subject: "https://idp.example|42" })).json.code).toBe(
    "subject_taken",
  );
  expect((await put("key:ci", { role: "viewer" })).status).toBe(400);
  const wish = CreateKey.parse({ name: "bob", user: "bob" });
  const { key } = await createKey(db, SYSTEM, { ...wish, keyId: uuidv7() });
  expect((await remove("bob")).status).toBe(204);
  expect((await remove("bob")).status).toBe(404);
  expect(await findKey(db, key)).toEqual({ refused: "key_revoked" });
  const { json } = await call(manageAccess, "/members", { as: { ...owner, role: "admin" } });
  expect(json.items.map(({ name }: { name: string }) => name)).toEqual(["ada@example.com", "olga"]);
  expect((await put("eve", { role: "viewer" }, { ...owner, role: "admin" })).json.code).toBe("role_too_low");
});

test("two owners do not lower each other", async () => {
  await db.begin(async (tx) => await putMember(tx, SYSTEM, "bob", { role: "owner" }));
  const other = connect(undefined, undefined, { max: 2 });
  const lower = async (name: string) =>
    await other.begin(async (tx) => await putMember(tx, SYSTEM, name, { role: "member" }));

  const outcomes = await Promise.allSettled([lower("olga"), lower("bob")]);
  await other.end();

  expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
});

/** Runs `first`, and `second` while its transaction is open, which is then committed; answers what became of the second. */
async function meanwhile(first: (tx: Db) => Promise<unknown>, second: (tx: Db) => Promise<unknown>) {
  const [one, other] = [connect(), connect()];
  try {
    let going: Promise<unknown> = Promise.resolve();
    await one.begin(async (tx) => {
      await first(tx);
      going = other.begin(second).then(
        () => "done",
        (error: unknown) => error,
      );
      await vi.waitUntil(
        async () => (await db`select from pg_locks where not granted and pid <> pg_backend_pid()`).length > 0,
      );
    });
    return await going;
  } finally {
    await Promise.all([one.end(), other.end()]);
  }
}

const wishOf = (name: string, more: object = {}) => ({ ...CreateKey.parse({ name, ...more }), keyId: uuidv7() });

test("no key is made for who is taken out meanwhile: none comes to life when it joins again", async () => {
  await db.begin(async (tx) => await putMember(tx, SYSTEM, "bob", { role: "admin" }));

  const outcome = await meanwhile(
    async (tx) => await deleteMember(tx, SYSTEM, "bob"),
    async (tx) => await createKey(tx, SYSTEM, wishOf("bobs", { user: "bob" })),
  );

  expect(outcome).toMatchObject({ status: 404, code: "unknown_member" });
  expect(await db`select from api_keys where name = 'bobs'`).toHaveLength(0);
});

test("a key that is made while its owner is being taken out is revoked with the others", async () => {
  await db.begin(async (tx) => await putMember(tx, SYSTEM, "bob", { role: "admin" }));

  const outcome = await meanwhile(
    async (tx) => await createKey(tx, SYSTEM, wishOf("bobs-last", { user: "bob" })),
    async (tx) => await deleteMember(tx, SYSTEM, "bob"),
  );

  expect(outcome).toBe("done");
  expect(await db`select revoked_at is not null as revoked from api_keys where name = 'bobs-last'`).toEqual([
    { revoked: true },
  ]);
});

test.each(["makes", "rotates"])("a key that is revoked meanwhile %s no other", async (what) => {
  const { key_id: keyId } = await createKey(db, SYSTEM, wishOf(`doomed-${what}`, { kind: "service", role: "admin" }));
  const { key_id: target } = await createKey(db, SYSTEM, wishOf(`kept-${what}`, { kind: "service" }));
  const doomed = { ...owner, kind: "service" as const, role: "admin" as const, keyId };

  const outcome = await meanwhile(
    async (tx) => await revokeKey(tx, SYSTEM, keyId),
    async (tx) =>
      what === "makes"
        ? await createKey(tx, doomed, wishOf("heir", { kind: "service" }))
        : await rotateKey(tx, doomed, target, 0),
  );

  expect(outcome).toMatchObject({ status: 401, code: "key_not_valid" });
});

test("who is in the team by a group of its token alone makes a service's key, and none of its own", async () => {
  const make = async (kind: string) =>
    await call(manageAccess, "/keys", { body: { name: `by-${kind}`, kind }, as: ownerNamed("groupie") });

  expect((await make("user")).json.code).toBe("unknown_member");
  expect((await make("service")).status).toBe(201);
});

test("who still has the word of the authorizer says no more of members once its key is revoked", async () => {
  const wish = CreateKey.parse({ name: "late", kind: "service", role: "owner" });
  const { key, key_id } = await createKey(db, SYSTEM, { ...wish, keyId: uuidv7() });
  const found = await findKey(db, key);
  await revokeKey(db, SYSTEM, key_id);

  const as = "caller" in found ? found.caller : null;
  const asked = { params: { name: "eve" }, as };
  const put = await call(manageAccess, "/members/eve", { ...asked, method: "PUT", body: { role: "owner" } });
  const removed = await call(manageAccess, "/members/eve", { ...asked, method: "DELETE" });
  expect([put, removed].map(({ status, json }) => [status, json.code])).toEqual([
    [401, "key_not_valid"],
    [401, "key_not_valid"],
  ]);
  expect(await db`select from users where name = 'eve'`).toHaveLength(0);
});
