import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { takeLock } from "../../lib/terminal/file-lock.ts";

const fileOf = () => join(mkdtempSync(join(tmpdir(), "waybill-lock-")), "lock");

test("one has the lock until it is released", () => {
  const file = fileOf();
  const first = takeLock(file);

  expect(first).toBeDefined();
  expect(takeLock(file)).toBeUndefined();
  first?.release();
  const next = takeLock(file);
  expect(next).toBeDefined();
  next?.release();
});

test("what is no file to lock is told with the command that takes it away", () => {
  const folder = mkdtempSync(join(tmpdir(), "waybill-lock-"));
  const text = fileOf();
  writeFileSync(text, "not a database, but longer than the hundred bytes that the header of one has: ".repeat(3));

  expect(() => takeLock(folder)).toThrow(`${folder} cannot be locked`);
  expect(() => takeLock(text)).toThrow(`Take it away: rm -r ${text}`);
});

test("the lock of a process that was killed is free", async () => {
  const file = fileOf();
  const module = new URL("../../lib/terminal/file-lock.ts", import.meta.url).href;
  const script = `import(${JSON.stringify(module)}).then(({ takeLock }) => { globalThis.kept = takeLock(${JSON.stringify(file)}); console.log("taken"); setInterval(() => {}, 1e6); })`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  expect(takeLock(file)).toBeUndefined();

  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;

  const lock = await vi.waitUntil(() => takeLock(file), { timeout: 5000, interval: 20 });
  lock.release();
});
