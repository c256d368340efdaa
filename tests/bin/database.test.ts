import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { announce, confirmLoss, findTarget } from "../../bin/database.ts";
import { faultsOfUrl } from "../../deploy/stage.ts";
import { databaseUrl } from "../../lib/runtime/postgres/db.ts";
import { Failed } from "../../lib/terminal/command.ts";
import { run } from "./run.ts";

const parent = mkdtempSync(join(tmpdir(), "waybill-target-"));
const before = { ...process.env };
const OWN = before["DATABASE_URL"] ?? "";

/** A folder over which a stack runs, as far as its note says, with the database of this name. */
function stackOver(name: string, pid = process.pid): string {
  const folder = join(parent, name);
  mkdirSync(folder, { recursive: true });
  const environment = { DATABASE_URL: `postgres://waybill@127.0.0.1:1234/${name}` };
  writeFileSync(join(folder, "running.json"), JSON.stringify({ pid, url: "http://127.0.0.1:3000", environment }));
  return folder;
}

const databaseOf = (data?: string) => findTarget(data).source["DATABASE_URL"];
/** The pid of a process that has ended. */
const gone = spawnSync("true").pid;

beforeEach(() => {
  for (const name of ["DATABASE_URL", "WAYBILL_DATA"]) delete process.env[name];
});
afterAll(() => {
  Object.assign(process.env, before);
  rmSync(parent, { recursive: true });
});

test("a command finds the stack over --data, else DATABASE_URL, else the stack over WAYBILL_DATA", () => {
  const [one, two] = [stackOver("one"), stackOver("two")];

  process.env["WAYBILL_DATA"] = two;
  expect(databaseOf()).toMatch(/\/two$/);
  expect(findTarget().of).toBe(`the stack over ${two} (http://127.0.0.1:3000)`);
  process.env["DATABASE_URL"] = OWN;
  expect(databaseOf()).toBe(OWN);
  expect(databaseOf(one)).toMatch(/\/one$/);
});

test("a stack's database is reached whatever Postgres clients of the shell are told", () => {
  process.env["PGHOST"] = "/no/where";

  findTarget(stackOver("one"));

  expect(process.env["PGHOST"]).toBeUndefined();
});

test.for([
  ["nothing runs", () => join(parent, "none")],
  ["a stack was killed", () => stackOver("killed", gone)],
] as const)("over a folder where %s there is no database, and no other is taken in its place", ([, folderOf]) => {
  const folder = folderOf();
  process.env["WAYBILL_DATA"] = folder;

  for (const find of [() => findTarget(), () => findTarget(folder)]) {
    expect(find).toThrow(Failed);
    expect(find).toThrow(`No stack runs over ${folder}. Start it (npm start`);
  }
});

test("a command says first which database it changes, without its password", async () => {
  const { err } = await run("migrate", ["up"], { DATABASE_URL: "postgres://ada:hush@127.0.0.1:1/shop" });

  expect(err.split("\n")[0]).toBe("Database 127.0.0.1:1/shop, of DATABASE_URL");
  expect(err).not.toContain("hush");
  expect(err).not.toContain('{"');
}, 60_000);

test("what would be lost is not, where nobody at a terminal confirms it", async () => {
  const target = findTarget(stackOver("one"));

  await expect(confirmLoss(target, "All goes.")).rejects.toThrow(
    "All goes. Nothing was changed. If that is wanted, say --yes.",
  );
  expect(announce(target)).toBeUndefined();
});

const COLON = "a colon without a port behind its host";

test.for([
  "postgres://u@host:/db",
  "postgres://u@host:",
  "postgres://u@[::1]:/db",
  "postgres://u@host:?sslmode=require",
])("%s has a colon without a port, and is refused", (url) => {
  expect(() => databaseUrl({ DATABASE_URL: url })).toThrow(COLON);
  expect(faultsOfUrl(url)).toEqual([expect.stringContaining(COLON)]);
});

test.for(["postgres://u:@host/db", "postgres://u@[::1]/db", "postgres://u@host/db:"])("%s has none", (url) => {
  expect(databaseUrl({ DATABASE_URL: url })).toBe(url);
  expect(faultsOfUrl(url).join()).not.toContain(COLON);
});
