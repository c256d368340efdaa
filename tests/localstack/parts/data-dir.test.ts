import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runningOver, takeDataDir } from "../../../localstack/parts/data-dir.ts";

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "waybill-data-"));
});

afterEach(() => rmSync(dir, { recursive: true }));

test("a directory that is taken names who has it and what to do", () => {
  const taken = takeDataDir(dir);
  taken.announce({ pid: 4711, url: "http://127.0.0.1:3000", environment: {} });

  expect(() => takeDataDir(dir)).toThrow(
    /already runs \(pid 4711, http:\/\/127.0.0.1:3000\).*\n.*--port 3001 --data DIR/,
  );

  taken.release();
});

test("what a killed stack left behind stops nobody", () => {
  writeFileSync(join(dir, "running.json"), JSON.stringify({ pid: process.pid, url: "", environment: {} }));

  const taken = takeDataDir(dir);

  expect(runningOver(dir)).toBeUndefined();
  taken.release();
});

test("a directory that was given back can be taken again", () => {
  takeDataDir(dir).release();

  const again = takeDataDir(dir);

  expect(again.path).toBe(dir);
  again.release();
});

test("what is missing on the way is made", () => {
  const taken = takeDataDir(join(dir, "a/b/c"));

  expect(taken.path).toBe(join(dir, "a/b/c"));
  taken.release();
});

test.each(["file", "file/data"])("a path that is no directory is refused with what to do: %s", (name) => {
  const file = join(dir, "file");
  writeFileSync(file, "");

  const refusal = new RegExp(
    `^The data directory .*${name} cannot be made: .* is a file.\\nName another one: npm start`,
  );
  expect(() => takeDataDir(join(dir, name))).toThrow(refusal);
});

test("a place where nothing can be made is refused at once, and not tried for ever", () => {
  const refused = spawnSync(
    process.execPath,
    ["-e", "import('./localstack/parts/data-dir.ts').then((it) => it.takeDataDir('/proc/waybill/data'))"],
    { timeout: 20_000, encoding: "utf8" },
  );

  expect([refused.signal, refused.status]).toEqual([null, 1]);
  expect(refused.stderr).toMatch(
    /The data directory \/proc\/waybill\/data cannot be made in \/proc: [^]*npm start -- --data DIR/,
  );
});
