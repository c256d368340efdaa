import { randomUUID } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { DEFAULT_TEAM, system } from "../../../lib/access/actor.ts";
import { newKey, newPrefix } from "../../../lib/access/keys/secret.ts";
import { type Holder, putKey } from "../../../lib/access/operator/put-key.ts";
import { uuidv7 } from "../../../lib/runtime/ids.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";

const db = connect();
afterAll(async () => await db.end());
const actor = system("test");

const makeKey = () => ({ key: newKey(newPrefix()), keyId: uuidv7() });
const ofUser = (user = `ada-${randomUUID()}`): Holder & { user: string } => ({
  team: DEFAULT_TEAM,
  name: `key-${randomUUID().slice(0, 8)}`,
  user,
  role: "owner",
});
const rowsOf = async ({ name }: Holder) =>
  await db`
  select prefix, role, agent_name, revoked_by, octet_length(secret_hash) as bytes from api_keys
    where name = ${name} order by created_at, revoked_at nulls last
`;

test("a key is put once, with the user whose it is as a member of the team", async () => {
  const holder = ofUser();
  const made = makeKey();

  expect([await putKey(db, actor, made, holder), await putKey(db, actor, made, holder)]).toEqual([true, true]);

  expect(await rowsOf(holder)).toMatchObject([
    { prefix: made.key.slice(0, 15), role: "owner", revokedBy: null, bytes: 32 },
  ]);
  const members = await db`select role from team_memberships join users using (user_id) where name = ${holder.user}`;
  expect(members).toMatchObject([{ role: "owner" }]);
});

test("a key of an agent has no role and no user", async () => {
  const holder: Holder = { team: DEFAULT_TEAM, name: `key-${randomUUID().slice(0, 8)}`, agent: "code" };

  expect(await putKey(db, actor, makeKey(), holder)).toBe(true);

  expect(await rowsOf(holder)).toMatchObject([{ role: null, agentName: "code" }]);
});

test("another key of the same name revokes the one of before", async () => {
  const holder = ofUser();

  for (const made of [makeKey(), makeKey()]) await putKey(db, actor, made, holder);

  expect(await rowsOf(holder)).toMatchObject([{ revokedBy: "test" }, { revokedBy: null }]);
});

test("a key that was revoked, has ended or was rotated away is not good, and stays so", async () => {
  for (const [how, good] of [
    [db`revoked_at = now(), revoked_by = 'ada'`, false],
    [db`expires_at = now()`, false],
    [db`secret_hash = sha256('other')`, false],
    [db`secret_hash = sha256('other'), previous_hash = secret_hash, previous_until = now()`, false],
    [db`secret_hash = sha256('other'), previous_hash = secret_hash, previous_until = now() + interval '1 h'`, true],
  ] as const) {
    const made = makeKey();
    const holder = ofUser();
    await putKey(db, actor, made, holder);
    await db`update api_keys set ${how} where prefix = ${made.key.slice(0, 15)}`;

    expect(await putKey(db, actor, made, holder)).toBe(good);
    expect(await rowsOf(holder)).toHaveLength(1);
  }
});

test("a member keeps the role that somebody has given it", async () => {
  const holder = ofUser();
  await putKey(db, actor, makeKey(), holder);
  await db`update team_memberships set role = 'viewer' where user_id = (select user_id from users where name = ${holder.user})`;

  await putKey(db, actor, makeKey(), { ...holder, name: `${holder.name}-2` });

  const members = await db`select role from team_memberships join users using (user_id) where name = ${holder.user}`;
  expect(members).toMatchObject([{ role: "viewer" }]);
});
