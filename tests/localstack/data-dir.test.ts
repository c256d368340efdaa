import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runningOver, takeDataDir } from "../../localstack/data-dir.ts";

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

test("a path that is no directory is refused with what to do", () => {
  const file = join(dir, "file");
  writeFileSync(file, "");

  expect(() => takeDataDir(file)).toThrow("npm start -- --data DIR");
});
