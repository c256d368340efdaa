import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { Pool } from "../../../lib/runtime/postgres/db.ts";

/** What stands in for Secrets Manager: the API's JSON over HTTP, with one secret that a test may change or break. */
const vault = { text: "one" as string | undefined, reads: 0, broken: false };
const server = createServer((request, response) => {
  request.resume().on("end", () => {
    vault.reads++;
    response.setHeader("content-type", "application/x-amz-json-1.1");
    response.statusCode = vault.broken ? 400 : 200;
    const failure = { __type: "AccessDeniedException", Message: "not allowed" };
    response.end(JSON.stringify(vault.broken ? failure : { ARN: "arn", Name: "name", SecretString: vault.text }));
  });
});

type Modules = {
  secret: (arn: string, fresh?: boolean) => Promise<string>;
  connect: (source?: NodeJS.ProcessEnv, url?: string) => Pool;
  withConnections: <T>(repeatable: boolean, run: () => Promise<T>) => Promise<T>;
};
let modules: Modules;
let admin: Pool;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  process.env["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(async () => {
  Object.assign(vault, { text: "one", reads: 0, broken: false });
  vi.resetModules();
  const { secret } = await import("../../../lib/runtime/aws/secrets.ts");
  const { connect } = await import("../../../lib/runtime/postgres/db.ts");
  const { withConnections } = await import("../../../lib/runtime/postgres/pool.ts");
  modules = { secret, connect, withConnections };
});
afterEach(() => vi.useRealTimers());
afterAll(async () => {
  await admin.unsafe(`drop role if exists ${role}`);
  await admin.end();
  server.closeAllConnections();
  server.close();
});

test("a secret is read once and kept, also while many ask at once", async () => {
  const values = await Promise.all(Array.from({ length: 20 }, () => modules.secret("arn")));

  expect([new Set(values), await modules.secret("arn"), vault.reads]).toEqual([new Set(["one"]), "one", 1]);
});

test("a rotated secret is read after five minutes, or at once where that is asked for", async () => {
  await modules.secret("arn");
  vault.text = "two";

  expect(await modules.secret("arn")).toBe("one");
  expect(await modules.secret("arn", true)).toBe("two");
  vault.text = "three";
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 299_000 });
  expect(await modules.secret("arn")).toBe("two");
  vi.setSystemTime(Date.now() + 2_000);
  expect(await modules.secret("arn")).toBe("three");
  expect(vault.reads).toBe(3);
});

test("a failed read is not kept", async () => {
  vault.broken = true;
  await expect(modules.secret("arn")).rejects.toMatchObject({ name: "AccessDeniedException" });

  vault.broken = false;

  expect(await modules.secret("arn")).toBe("one");
});

test("a secret without text says what to do", async () => {
  vault.text = undefined;

  await expect(modules.secret("arn")).rejects.toThrow("Secret arn has no text. Store it as a string, not as binary.");
});

const role = `rotating_${process.pid}`;

/** A role whose password the server really asks for: everyone else of this server is trusted. */
async function serverAsksFor(password: string): Promise<void> {
  admin ??= modules.connect();
  const [row] = await admin<{ file: string }[]>`select current_setting('hba_file') as file`;
  const file = row?.file ?? "";
  const rule = `host all ${role} 127.0.0.1/32 scram-sha-256\n`;
  const rules = readFileSync(file, "utf8");
  if (!rules.includes(rule)) writeFileSync(file, rule + rules);
  await admin.unsafe(`do $$ begin create role ${role} login; exception when duplicate_object then null; end $$`);
  await admin.unsafe(`alter role ${role} password '${password}'`);
  await admin`select pg_reload_conf()`;
  // The postmaster reads its rules when it gets to it.
  await vi.waitUntil(async () => {
    const [read] = await admin<{ there: boolean }[]>`
      select exists (select from pg_hba_file_rules where user_name = array[${role}]) as there
    `;
    return read?.there;
  });
}

function asRotating(): Pool {
  const url = new URL(process.env["DATABASE_URL"] ?? "");
  url.username = role;
  return modules.connect({ ...process.env, DATABASE_URL: url.href, DATABASE_SECRET_ARN: "arn" });
}

const whoOf = (db: Pool) => async () => (await db<{ who: string }[]>`select current_user as who`)[0]?.who;
const endSessions = async () =>
  await admin`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${role}`;

test.each(["one", '{"username":"x","password":"one"}'])(
  "a connection is made with the password of the secret: %s",
  async (text) => {
    await serverAsksFor("one");
    vault.text = text;
    const db = asRotating();

    expect(await modules.withConnections(false, whoOf(db))).toBe(role);
    await db.end();
  },
);

test.each([false, true])(
  "a password rotated while running is read once more (call repeatable: %s)",
  async (repeatable) => {
    await serverAsksFor("one");
    const db = asRotating();
    await modules.withConnections(repeatable, whoOf(db));

    await serverAsksFor("two");
    vault.text = "two";
    expect(await modules.withConnections(repeatable, whoOf(db))).toBe(role);
    expect(vault.reads).toBe(1);
    await endSessions();
    // The server says that it ended the session before the client has heard of it.
    await vi.waitUntil(async () => (await modules.withConnections(repeatable, whoOf(db)).catch(() => "")) === role);

    expect(vault.reads).toBe(2);
    await db.end();
  },
);

test("a password that stays wrong fails each call, with a fresh read each and no crash", async () => {
  await serverAsksFor("one");
  vault.text = "wrong";
  const db = asRotating();

  await expect(modules.withConnections(false, whoOf(db))).rejects.toMatchObject({ code: "28P01" });
  vault.text = "one";

  expect(await modules.withConnections(false, whoOf(db))).toBe(role);
  await db.end();
});

test.each(["broken", "no JSON"])(
  "a secret that cannot be read (%s) makes the database unavailable and quotes nothing",
  async (how) => {
    await serverAsksFor("one");
    vault.broken = how === "broken";
    vault.text = '{"password": s3cret}';
    const db = asRotating();

    const error = await modules.withConnections(true, whoOf(db)).catch((caught: unknown) => caught as Error);

    expect(error).toMatchObject({
      name: "Unavailable",
      message: expect.stringContaining("The database password in arn"),
    });
    Object.assign(vault, { broken: false, text: "one" });
    const { lineOf } = await import("../../../lib/runtime/log.ts");
    expect(lineOf({ error })).not.toContain("s3cret");
    await vi.waitUntil(async () => (await modules.withConnections(true, whoOf(db)).catch(() => "")) === role);
    await db.end();
  },
);
