import { beforeAll, expect, test, vi } from "vitest";
import { handler as authorize } from "../../functions/access/authorize.ts";
import { handler as listKeys } from "../../functions/access/manage-access.ts";
import { DEFAULT_TEAM, system } from "../../lib/access/actor.ts";
import { cachedFor } from "../../lib/access/identity/cached.ts";
import { fromContext, toContext } from "../../lib/access/identity/context.ts";
import { credentialOf } from "../../lib/access/identity/credential.ts";
import { principalOf } from "../../lib/access/identity/iam.ts";
import { identitySettings } from "../../lib/access/identity/settings.ts";
import { createKey } from "../../lib/access/keys/keys.ts";
import { CreateKey } from "../../lib/access/keys/schema.ts";
import { putMember } from "../../lib/access/members/members.ts";
import type { Outcome } from "../../lib/access/outcome.ts";
import { uuidOf, uuidv7 } from "../../lib/runtime/ids.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { callersByKey, callersOf } from "../../lib/wiring/callers.ts";
import { call } from "../support/http/events.ts";
import { ownerNamed } from "../support/http/owner.ts";

const db = connect();
const SYSTEM = system("test", DEFAULT_TEAM);
const knowing = { edges: { db }, settings: { identity: readSettings(identitySettings, {}) } };
let key: string;

beforeAll(async () => {
  const wish = CreateKey.parse({ name: "ci", kind: "service", role: "owner" });
  ({ key } = await createKey(db, SYSTEM, { ...wish, keyId: uuidv7() }));
});

const AGENT = { ...ownerNamed("x"), kind: "agent" as const, role: null, agent: "code", keyId: "k", scopes: [] };
const OVER = new Date("2026-01-01T00:00:00Z");

test.each<Outcome>([
  { caller: ownerNamed("Ada Lovelace"), until: null },
  { caller: { ...ownerNamed("x"), scopes: ["work:read", "llm:use"] }, until: new Date("2030-01-01T00:00:00Z") },
  { caller: { ...ownerNamed("x"), scopes: [], isEarlier: true }, until: null },
  { caller: AGENT, until: null },
  { refused: "key_revoked" },
])("what the authorizer tells is what the function reads: %j", (outcome) => {
  const context = toContext(outcome);

  expect(fromContext(JSON.parse(JSON.stringify(context)), new Date())).toEqual(outcome);
  for (const value of Object.values(context)) expect(typeof value).toBe("string");
});

test("what a context leaves out is not let: without scopes none, and without a role nobody but an agent", () => {
  const { scopes: _, ...none } = toContext({ caller: ownerNamed("x"), until: null });
  const { role: __, ...nobody } = toContext({ caller: ownerNamed("x"), until: null });
  const { agent: ___, ...nameless } = toContext({ caller: AGENT, until: null });

  expect(fromContext(none, new Date())).toMatchObject({ caller: { scopes: [] } });
  for (const context of [nobody, nameless]) expect(() => fromContext(context, new Date())).toThrow("Invalid input");
});

test("what ends by itself ends in what is kept, too", () => {
  const context = (keyId: string | null) => toContext({ caller: { ...ownerNamed("x"), keyId }, until: OVER });

  expect(fromContext(context("k"), OVER)).toEqual({ refused: "key_expired" });
  expect(fromContext(context(null), OVER)).toEqual({ refused: "token_expired" });
  expect(fromContext(context("k"), new Date(OVER.getTime() - 1))).toHaveProperty("caller");
  expect(() => fromContext({ kind: "root" }, OVER)).toThrow("Invalid input");
});

test.each([
  [{}, { refused: "credentials_missing" }],
  [{ authorization: "Bearer a" }, { token: "a" }],
  [{ authorization: "bearer  a " }, { token: "a" }],
  [{ "x-api-key": "a" }, { token: "a" }],
  [{ "x-api-key": "" }, { refused: "credentials_missing" }],
  [{ authorization: "Bearer a", "x-api-key": "a" }, { token: "a" }],
  [{ authorization: "Bearer a", "x-api-key": "b" }, { refused: "credentials_conflict" }],
  [{ authorization: "Basic YTpi" }, { refused: "credentials_malformed" }],
  [{ authorization: "Bearer" }, { refused: "credentials_malformed" }],
  [{ authorization: "Bearer a b" }, { refused: "credentials_malformed" }],
  [{ authorization: "" }, { refused: "credentials_malformed" }],
])("the headers %j show %j", (headers, shown) => {
  expect(credentialOf(headers)).toEqual(shown);
});

test("the authorizer looks at the header alone by which its answer is kept, whatever its case", async () => {
  const headers = { Authorization: `Bearer ${key}`, "x-api-key": "another" };

  expect(await authorize({ headers })).toEqual({
    isAuthorized: true,
    context: expect.objectContaining({ kind: "service", name: "key:ci", team: DEFAULT_TEAM, role: "owner" }),
  });
  expect(await authorize({})).toEqual({ isAuthorized: true, context: { refused: "credentials_missing" } });
  const { context } = await authorize({ headers });
  const reply = await call(listKeys, "/keys", { context, headers: { ...headers, authorization: `Bearer ${key}` } });
  expect([reply.status, reply.json.code]).toEqual([401, "credentials_conflict"]);
});

test("a call that nobody was asked about is nobody's", async () => {
  const reply = await call(listKeys, "/keys", { as: null, headers: { authorization: `Bearer ${key}` } });

  expect([reply.status, reply.json.code, reply.json.title]).toEqual([401, "credentials_missing", "Unauthorized"]);
  expect(reply.headers["content-type"]).toBe("application/problem+json");
});

test("who is refused is refused before anything else of the call is looked at", async () => {
  const raw = "{";
  expect((await call(listKeys, "/keys", { as: null, raw })).status).toBe(401);
  expect((await call(listKeys, "/keys", { as: { ...ownerNamed("x"), role: "viewer" }, raw })).status).toBe(403);
  expect((await call(listKeys, "/keys", { raw })).status).toBe(400);
});

const ROLE = "arn:aws:iam::123456789012:role/ops";
const SESSION = "arn:aws:sts::123456789012:assumed-role/ops/ada";

test.each([
  [SESSION, ROLE],
  ["arn:aws-us-gov:sts::1:assumed-role/a/b/c", "arn:aws-us-gov:iam::1:role/a"],
  ["arn:aws:iam::1:user/ada", "arn:aws:iam::1:user/ada"],
])("%s is known as %s", (arn, principal) => {
  expect(principalOf(arn)).toBe(principal);
});

test("who signs is in the team and role of the member with its ARN, else an owner of the default team", async () => {
  const identify = async (iam: unknown) => await callersOf(knowing)({ authorizer: { iam }, headers: {}, bytes: 0 });
  const usual = await identify({ userArn: SESSION });

  expect(usual).toMatchObject({ kind: "iam", name: SESSION, team: DEFAULT_TEAM, role: "owner", id: uuidOf(ROLE) });
  await db.begin(async (tx) => await putMember(tx, SYSTEM, "ops", { role: "viewer", subject: ROLE }));
  expect(await identify({ userArn: SESSION })).toMatchObject({ kind: "iam", name: SESSION, role: "viewer" });
  await expect(identify({})).rejects.toMatchObject({ status: 401 });
});

test("at a function URL the key itself is looked at, and kept for a while without a question", async () => {
  const pool = connect();
  const identify = callersByKey({ ...knowing, edges: { db: pool } });
  const by = async (headers: Record<string, string>) => await identify({ authorizer: {}, headers, bytes: 0 });

  expect(await by({ "x-api-key": key })).toMatchObject({ name: "key:ci" });
  await expect(by({ "x-api-key": `${key}x` })).rejects.toMatchObject({ code: "key_unknown" });
  await expect(by({})).rejects.toMatchObject({ status: 401 });
  await pool.end();
  expect(await by({ "x-api-key": key })).toMatchObject({ name: "key:ci" });
  await expect(by({ authorization: `Bearer ${key}` })).rejects.toMatchObject({ code: "CONNECTION_ENDED" });
});

test("what is kept ends with the key, and no refusal is kept", async () => {
  let outcome: Outcome = { caller: ownerNamed("x"), until: new Date(Date.now() + 30) };
  let times = 0;
  const known = cachedFor(30_000, async () => {
    times++;
    return outcome;
  });

  await known({ "x-api-key": "a" });
  await known({ "x-api-key": "a" });
  expect(times).toBe(1);
  await vi.waitUntil(async () => (await known({ "x-api-key": "a" })) && times > 1);
  outcome = { refused: "key_unknown" };
  await known({ "x-api-key": "b" });
  await known({ "x-api-key": "b" });
  expect(times).toBeGreaterThanOrEqual(4);
});
