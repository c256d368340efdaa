import { chmodSync, statSync, writeFileSync } from "node:fs";
import { afterAll, beforeEach, expect, test } from "vitest";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { giveKeys } from "../../../localstack/functions/first-keys.ts";
import { keyFile, readKey } from "../../../localstack/parts/keys.ts";
import { testFolder } from "../../support/agents/agent.ts";

const db = connect();
afterAll(async () => await db.end());
let dir = "";
beforeEach(async () => {
  await db`truncate api_keys cascade`;
  dir = testFolder();
});

const live = async () => {
  const rows = await db<{ name: string; prefix: string }[]>`
    select name, prefix from api_keys where revoked_at is null order by name
  `;
  return Object.fromEntries(rows.map(({ name, prefix }) => [name, prefix]));
};
const kept = (agent?: string) => readKey(keyFile(dir, agent)) ?? "";
const prefixOf = (key: string) => key.slice(0, 15);

test("a new data folder gets a key of the owner and one of each agent, for its owner alone to read", async () => {
  expect(await giveKeys(dir, ["code", "infra"])).toBe(true);

  expect(await live()).toEqual({
    "local-agent-code": prefixOf(kept("code")),
    "local-agent-infra": prefixOf(kept("infra")),
    "local-owner": prefixOf(kept()),
  });
  for (const file of [keyFile(dir), keyFile(dir, "code")]) expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("a folder that has keys keeps them, in the same database and in a new one", async () => {
  await giveKeys(dir, ["code"]);
  const before = [kept(), kept("code")];

  expect(await giveKeys(dir, ["code"])).toBe(false);
  await db`truncate api_keys cascade`;
  expect(await giveKeys(dir, ["code"])).toBe(false);

  expect([kept(), kept("code")]).toEqual(before);
  expect(Object.values(await live()).toSorted()).toEqual(before.map(prefixOf).toSorted());
});

test("a key that was revoked is replaced", async () => {
  await giveKeys(dir, []);
  const before = kept();
  await db`update api_keys set revoked_at = now(), revoked_by = 'ada'`;

  expect(await giveKeys(dir, [])).toBe(true);

  expect(kept()).not.toBe(before);
  expect(await live()).toEqual({ "local-owner": prefixOf(kept()) });
});

test("a file that others may read is one that they may not, once a key is written into it", async () => {
  await giveKeys(dir, []);
  chmodSync(keyFile(dir), 0o644);
  await db`update api_keys set revoked_at = now(), revoked_by = 'ada'`;

  await giveKeys(dir, []);

  expect(statSync(keyFile(dir)).mode & 0o777).toBe(0o600);
});

test("a file that holds something else is named, and left as it is", async () => {
  writeFileSync(keyFile(dir), "hunter2\n");

  const given = giveKeys(dir, []);

  await expect(given).rejects.toThrow(
    `${keyFile(dir)} holds no key. Take it away, and start again: rm ${keyFile(dir)}`,
  );
  expect(await live()).toEqual({});
});
