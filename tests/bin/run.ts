import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";

/** Runs a command of bin/ as a process of its own, in this test file's database unless `env` says otherwise. */
export async function run(
  command: string,
  args: string[] = [],
  env: Record<string, string | undefined> = {},
  cwd = process.cwd(),
) {
  const child = spawn(process.execPath, [resolve("bin", `${command}.ts`), ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = new Promise<number | null>((done) => child.once("close", done));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { code, out, err };
}
