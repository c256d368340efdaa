import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { environmentOf, ownerOf, type Started, startStack, temporaryDir } from "../support/stack/stack.ts";

const dir = temporaryDir();
let stack: Started;

beforeAll(async () => {
  stack = await startStack({ dataDir: dir.path, args: ["--no-agents"], env: { LOG_LEVEL: "debug" } });
}, 90_000);

afterAll(async () => {
  await (stack as Started | undefined)?.stop();
  dir.remove();
});

/** What `npx waybill WORDS` runs, with the key of the stack's folder unless another is given. */
async function waybill(words: string, key?: string) {
  const env = {
    ...environmentOf(stack),
    WAYBILL_DATA: dir.path,
    ...(key === undefined ? {} : { WAYBILL_API_KEY: key }),
  };
  const child = spawn(process.execPath, ["cli/waybill.mjs", ...words.split(" ")], {
    env: { ...env, DATABASE_URL: environmentOf(stack)["DATABASE_URL"] },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | null>((done) => child.once("close", done));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { out: out.trim(), err, code };
}

const statusOf = async (key: string) =>
  (await fetch(`${stack.url}/work`, { headers: { authorization: `Bearer ${key}` } })).status;
/** What the authorizer has said of a key counts for a while. */
const becomes = async (key: string, status: number) =>
  await vi.waitFor(async () => expect(await statusOf(key)).toBe(status), { timeout: 10_000, interval: 200 });

test("a key is made, is good, is rotated with a grace, and is revoked", async () => {
  const made = await waybill("keys create ci --service --role viewer --expires 1d");
  expect([made.code, await statusOf(made.out)]).toEqual([0, 200]);

  const rotated = await waybill("keys rotate ci --grace 10m");
  expect(rotated.out).not.toBe(made.out);
  expect([await statusOf(rotated.out), await statusOf(made.out)]).toEqual([200, 200]);

  const listed = JSON.parse((await waybill("keys list --json")).out) as {
    name: string;
    previous_until: string | null;
  }[];
  expect(listed.find(({ name }) => name === "ci")).toMatchObject({ previous_until: expect.any(String) });
  expect((await waybill("keys revoke ci")).code).toBe(0);
  await becomes(rotated.out, 401);
  await becomes(made.out, 401);
}, 60_000);

test("a key may no more than it says", async () => {
  const { out: member } = await waybill("keys create low --role member");

  expect(await waybill("keys list", member)).toMatchObject({ code: 6, out: "" });
  expect(await waybill("keys create low --role member")).toMatchObject({ code: 7, out: "" });
});

test("members come and go, with their keys", async () => {
  expect((await waybill("members set ada@example.com admin")).code).toBe(0);
  const { out: key } = await waybill("keys create ada --user ada@example.com --role owner");
  expect((await waybill("members list")).out).toMatch(/^ada@example\.com +admin/m);

  // The lesser of the two roles: an admin's.
  expect(await waybill("members list", key)).toMatchObject({ code: 0 });
  expect(await waybill("members set eve viewer", key)).toMatchObject({ code: 6 });
  expect(await waybill("members remove owner")).toMatchObject({ code: 7 });
  expect(await waybill("members remove ada@example.com")).toMatchObject({ code: 0 });
  await becomes(key, 401);
}, 60_000);

test("a team is made on the database, and sees nothing of another", async () => {
  const made = await waybill("teams create acme --owner ada@acme.example");
  await fetch(`${stack.url}/work`, {
    method: "POST",
    headers: ownerOf(stack),
    body: JSON.stringify({ request_text: "secret of default", work_type: "code.run" }),
  });

  expect((await waybill("teams list")).out).toMatch(/acme +1 +1/);
  expect((await waybill("members list", made.out)).out).toMatch(/^ada@acme\.example +owner/m);
  const seen = await fetch(`${stack.url}/work`, { headers: { authorization: `Bearer ${made.out}` } });
  expect(await seen.json()).toMatchObject({ items: [] });
  expect(await waybill("teams create acme --owner ada@acme.example")).toMatchObject({ code: 7 });
}, 60_000);

test("no key that was made is in a log of the stack", async () => {
  const { out: key } = await waybill("keys create logged");
  await statusOf(key);
  const logs = readdirSync(join(dir.path, "logs")).map((name) => readFileSync(join(dir.path, "logs", name), "utf8"));

  expect(logs.join("")).toContain('"operation":"createKey"');
  expect(logs.join("").match(/wb_[0-9A-Za-z]{12}_/g)).toBeNull();
});
