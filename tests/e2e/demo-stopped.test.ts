import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { processesWith, temporaryDir } from "../support/stack/stack.ts";

test.each([
  ["SIGINT", "while it starts", "Starting Postgres"],
  ["SIGTERM", "at work", "submitted to agent"],
] as const)(
  "the demonstration that %s stops %s leaves no data and no process",
  { timeout: 90_000 },
  async (...stopped) => {
    const [signal, , said] = stopped;
    const dir = temporaryDir();
    const demo = spawn(process.execPath, ["localstack/demo/main.ts"], { env: { ...process.env, TMPDIR: dir.path } });
    let output = "";
    for (const stream of [demo.stdout, demo.stderr]) stream.on("data", (part: Buffer) => void (output += String(part)));
    const ended = once(demo, "close");
    const left = () => readdirSync(dir.path).filter((name) => name.startsWith("waybill-demo-"));
    await expect.poll(() => output, { timeout: 60_000 }).toContain(said);
    await expect.poll(left).toHaveLength(1);

    demo.kill(signal);

    expect(await ended).toEqual([1, null]);
    expect(output).toContain(`Stopped by ${signal}. Nothing is left behind.`);
    expect(left()).toEqual([]);
    await expect.poll(() => processesWith(dir.path)).toEqual([]);
    dir.remove();
  },
);
