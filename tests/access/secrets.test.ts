import { expect, test, vi } from "vitest";
import { handler as authorize } from "../../functions/access/authorize.ts";
import { handler as giveKey } from "../../functions/access/give-key.ts";
import { handler as manageAccess } from "../../functions/access/manage-access.ts";
import { handler as llm } from "../../functions/llm/llm-route.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { call } from "../support/http/events.ts";

// Before anything is imported: the log reads it with its first line.
vi.hoisted(() => {
  process.env["LOG_LEVEL"] = "debug";
});

const db = connect();

/** What is written to both outputs while something runs. */
async function written(run: () => Promise<void>): Promise<string> {
  const lines: string[] = [];
  const keep = (text: unknown) => lines.push(String(text)) > 0;
  const spies = [process.stderr, process.stdout].map((out) => vi.spyOn(out, "write").mockImplementation(keep));
  await run().finally(() => {
    for (const spy of spies) spy.mockRestore();
  });
  return lines.join("");
}

test("no key is in any line of the log, whatever becomes of it", async () => {
  const secrets: string[] = [];
  const said = await written(async () => {
    const given = await giveKey({ give: "first" });
    secrets.push(given?.key ?? "");
    const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
    const { context } = await authorize({ headers: bearer(secrets[0] ?? "") });
    const made = await call(manageAccess, "/keys", { context, body: { name: "ci", kind: "service" } });
    secrets.push(made.json.key);
    const params = { key_id: made.json.key_id };
    const path = `/keys/${params.key_id}`;
    const rotated = await call(manageAccess, `${path}/rotate`, { context, method: "POST", params });
    secrets.push(rotated.json.key);
    for (const secret of secrets) {
      await authorize({ headers: bearer(secret) });
      await authorize({ headers: bearer(`${secret}x`) });
      await call(llm, "/llm/v1/models", { as: null, headers: bearer(secret) });
      await call(llm, "/llm/v1/chat/completions", { as: null, headers: { "x-api-key": secret }, body: {} });
      await call(llm, "/llm/v1/chat/completions", { as: null, headers: bearer(`${secret}x`), body: {} });
      // Where it does not belong.
      await call(manageAccess, `/keys/${secret}`, { context, method: "DELETE", params: { key_id: secret } });
      await call(manageAccess, "/keys", { context, body: { name: secret, [secret]: secret } });
    }
    await call(manageAccess, path, { context, method: "DELETE", params });
  });

  expect(said).toContain("key created");
  expect(secrets).toHaveLength(3);
  for (const secret of secrets) {
    expect(secret).toMatch(/^wb_/);
    expect(said).not.toContain(secret.slice("wb_000000000000_".length));
  }
});

test("the first key is given once, and another in its place to who has lost it", async () => {
  expect(await giveKey({ give: "first" })).toBeNull();
  const again = await giveKey({ give: "first-again" });
  const third = await giveKey({ give: "first-again" });
  const outcome = async (key = "") => (await authorize({ headers: { authorization: `Bearer ${key}` } })).context;

  expect(await outcome(again?.key)).toEqual({ refused: "key_revoked" });
  expect(await outcome(third?.key)).toMatchObject({ kind: "user", name: "owner", role: "owner" });
  const smoke = await giveKey({ give: "smoke" });
  expect(await outcome(smoke?.key)).toMatchObject({ kind: "service", role: "admin", until: expect.any(String) });
  await expect(giveKey({ give: "all" })).rejects.toThrow('{"give": "first"}');
  expect((await db`select from users`).length).toBe(1);
});
