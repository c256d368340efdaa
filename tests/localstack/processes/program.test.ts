import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { lackOfSpace } from "../../../localstack/parts/postgres.ts";
import { start } from "../../../localstack/processes/program.ts";
import { checkSpace } from "../../../localstack/stack.ts";

test("a log that cannot be written ends nothing, and is told once for its folder, with the command that shows why", async () => {
  const told = vi.spyOn(console, "error").mockImplementation(() => {});
  onTestFinished(() => told.mockRestore());
  const folder = join(mkdtempSync(join(tmpdir(), "waybill-logs-")), "logs");
  const run = async (name: string) => {
    const lines: string[] = [];
    const args = ["-e", "console.log('one'); console.log('two')"];
    const logFile = join(folder, name);
    const { ended } = start({ command: process.execPath, args, env: {}, logFile, onLine: (line) => lines.push(line) });
    return [(await ended).code, ...lines];
  };

  expect([await run("a.log"), await run("b.log")]).toEqual([
    [0, "one", "two"],
    [0, "one", "two"],
  ]);

  expect(told).toHaveBeenCalledTimes(1);
  expect(told.mock.lastCall?.[0]).toMatch(/The logs in \S+\/logs cannot be written.*ENOENT[^]*df -h \S+\/logs/);
});

test("a Postgres that has no space left is told with its folder and the command, any other is not", () => {
  const said = 'PANIC:  could not write to file "pg_wal/xlogtemp.1": No space left on device';

  expect(lackOfSpace(said, "/data/postgres")).toMatch(/^There is no space left in \/data: .* run: npm start$/);
  expect(lackOfSpace("FATAL:  something else", "/data/postgres")).toBeUndefined();
});

test("a start needs room for a new database, and less for one that is there", () => {
  const folder = mkdtempSync(join(tmpdir(), "waybill-space-"));

  expect(() => checkSpace(folder, 199)).toThrow(`There is too little space in ${folder}: 199 MB are free`);
  expect(() => checkSpace(folder, 200)).not.toThrow();
});
