import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { quoted } from "./target.ts";

/** Runs a command of the framework with what it prints in sight and these variables beside our own; answers its exit code. */
export async function serverless(args: readonly string[], env: Record<string, string> = {}): Promise<number> {
  console.log(`\n— serverless ${args.map(quoted).join(" ")}`);
  const program = createRequire(import.meta.url).resolve("serverless/bin/serverless.js");
  const child = spawn(process.execPath, [program, ...args], { stdio: "inherit", env: { ...process.env, ...env } });
  return await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
}
