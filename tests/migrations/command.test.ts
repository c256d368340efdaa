import { spawnSync } from "node:child_process";
import { expect, test, vi } from "vitest";
import { handler } from "../../functions/system/migrate.ts";
import { MigrateCommand } from "../../lib/migrations/command.ts";
import { readMigrations } from "../../lib/migrations/files.ts";
import { databaseName } from "../../lib/migrations/reach.ts";
import { log } from "../../lib/runtime/log.ts";
import { databases, folder } from "./servers.ts";
import { small } from "./small.ts";

const fresh = databases();
const names = readMigrations("migrations").map(({ name }) => name);

test.each([undefined, null, "", {}])("the deploy function, invoked with %o, migrates up", async (event) => {
  const done = await handler(event);

  // The test file's own database is migrated already.
  expect(done).toEqual({
    command: "up",
    reverted: [],
    applied: [],
    current: names.at(-1),
    pending: [],
    database: databaseName(),
  });
});

test("the deploy function logs which database it is about to migrate, without the password", async () => {
  const told = vi.spyOn(log, "info");
  const url = new URL(process.env["DATABASE_URL"] ?? "");
  url.password = "sesame";
  vi.stubEnv("DATABASE_URL", url.href);

  await handler({ command: "status" });

  const database = `postgres://${url.host}${url.pathname}`;
  expect(told.mock.calls[0]).toEqual(["database to migrate", { database, command: "status" }]);
  expect(JSON.stringify(told.mock.calls)).not.toContain("sesame");
  vi.unstubAllEnvs();
  told.mockRestore();
});

test("the deploy function answers what it did, as JSON", async () => {
  const down = await handler({ command: "down", to: names.at(-2) });
  const status = await handler({ command: "status" });
  const up = await handler({ command: "up", to: names.at(-1) });
  const redo = await handler({ command: "redo", to: names.at(-2) });
  const sql = await handler({ command: "sql", to: 1 });

  const last = names.at(-1);
  expect(down).toMatchObject({ reverted: [last], applied: [], pending: [last] });
  expect(JSON.parse(JSON.stringify(status))).toMatchObject({ current: names.at(-2), pending: [last], faults: [] });
  expect(up).toMatchObject({ applied: [last], pending: [] });
  expect(redo).toMatchObject({ reverted: [last], applied: [last], current: last });
  expect(sql).toMatchObject({ sql: expect.stringContaining("create table if not exists tasks (") });
});

test.each([
  [{ command: "upp" }, "command must be one of"],
  [{ command: "up", steps: 1 }, "steps"],
  [{ command: "up", step: 0 }, "step must be "],
  [{ command: "up", step: 1.5 }, "step must be "],
  [{ command: "up", step: "1" }, "step must be "],
  [{ command: "up", to: "" }, "to must "],
  [{ command: "up", to: -1 }, "to must "],
  [{ command: "up", to: "0001", step: 1 }, "either how far or how many"],
  [{ command: "up", direction: "down" }, "direction is only for sql"],
  [{ command: "status", to: "0001" }, "status takes neither"],
  [{ command: "down" }, "down wants a target"],
  [{ command: "down", step: 1 }, "down wants a target"],
  [{ command: "redo" }, "redo wants a target"],
  ["up", "it must be an object, not a string"],
  [[], "it must be an object, not a list"],
  [7, "it must be an object, not a number"],
])("the event %o is refused by name", async (event, message) => {
  await expect(handler(event)).rejects.toThrow(message);
  await expect(handler(event)).rejects.toMatchObject({ name: "CallerError", code: "invalid_input" });
});

function cli(args: string[], env: Record<string, string>) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["bin/migrate.ts", ...args], {
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  return { status, stdout, stderr };
}

test("the command line tells what it does, and what to do where it does not", async () => {
  const env = await fresh(folder(small));

  expect(cli([], env)).toEqual({
    status: 0,
    stdout: "applied  0001_shop\napplied  0002_item\napplied  0003_price\nThe database is at 0003_price; 0 pending.\n",
    stderr: expect.stringMatching(/^Database 127\.0\.0\.1:\d+\/\w+, of DATABASE_URL\n$/),
  });
  expect(cli(["up"], env).stdout).toBe("Nothing to do.\nThe database is at 0003_price; 0 pending.\n");
  const unsure = cli(["down", "--to", "0"], env);
  expect(unsure).toMatchObject({ status: 1, stdout: "" });
  expect(unsure.stderr).toContain(
    "down takes tables and columns away with all that is in them. Nothing was changed. If that is wanted, say --yes.",
  );
  expect(cli(["redo", "--step", "1"], env)).toMatchObject({ status: 1, stdout: "" });
  expect(cli(["down", "--to", "1", "--yes"], env).stdout).toBe(
    "reverted 0003_price\nreverted 0002_item\nThe database is at 0001_shop; 2 pending.\n",
  );
  expect(cli(["status"], env).stdout).toMatch(
    /^applied {2}0001_shop {3}\d{4}-\d\d-\d\dT\S+Z {2}\d+ ms\npending {2}0002_item\npending {2}0003_price\nThe database is at 0001_shop; 2 pending.\n$/,
  );
  expect(cli(["sql", "--to", "2", "--step", "1"], env).stdout).toContain(small["0002_item.up.sql"]);
  expect(cli(["--help"], env)).toMatchObject({ status: 0, stdout: expect.stringContaining("Usage: npm run migrate") });
});

test.each([
  [["sideways"], 2, 'command must be one of "up", "down"'],
  [["up", "down"], 2, "One command at a time, not also down."],
  [["down", "--yes"], 2, "down wants --to TARGET, the last migration that stays, or --step N."],
  [["redo", "--yes"], 2, "redo wants --to TARGET"],
  [["up", "--to", "9"], 1, "There is no migration 9. There are: 0001_shop, 0002_item, 0003_price."],
  [["up", "--step", "many"], 2, `--step must be a whole number of at least 1, not "many".`],
  [["up", "--step", ""], 2, "--step must be a whole number"],
  [["--fast"], 2, "Usage: npm run migrate"],
])("the command line refuses %o with %i and no stack trace", async (args, exit, message) => {
  const env = await fresh(folder(small));

  const { status, stdout, stderr } = cli(args, env);

  expect({ status, stdout }).toEqual({ status: exit, stdout: "" });
  expect(stderr).toContain(message);
  expect(stderr).not.toMatch(/^ +at /m);
});

test("status ends with 1 where the files forbid to migrate, and says why", async () => {
  const env = await fresh();
  cli(["up"], { ...env, ...folder(small) });

  const { status, stdout } = cli(["status"], { ...env, ...folder({ ...small, "0003_price.up.sql": "select 1;" }) });

  expect(status).toBe(1);
  expect(stdout).toContain("fault    0003_price has changed since it was applied. Put it back");
});

test("a number as target is as good as its text", () => {
  expect(MigrateCommand.parse({ command: "down", to: 0 })).toEqual({ command: "down", to: "0" });
});
