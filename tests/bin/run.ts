import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";

/** Runs a command of bin/ as a process of its own, as npm does, in this test file's database unless `env` says otherwise. */
export async function run(command: string, args: string[] = [], env: Record<string, string | undefined> = {}) {
  const child = spawn(process.execPath, [`bin/${command}.ts`, ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { code, out, err };
}
