import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { unlessEnded } from "./signals.ts";
import { quoted } from "./target.ts";

/**
 * Runs a command of the framework with what it prints in sight and these variables beside our own; answers its exit code. Whoever ends us
 * meanwhile ends the framework alone: left to itself it would go on where another deploy may begin, and nobody would tell what is true.
 */
export async function serverless(args: readonly string[], env: Record<string, string> = {}): Promise<number> {
  const program = createRequire(import.meta.url).resolve("serverless/bin/serverless.js");
  const child = spawn(process.execPath, [program, ...args], { stdio: "inherit", env: { ...process.env, ...env } });
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
  return await unlessEnded(
    () => void child.kill("SIGTERM"),
    async () => {
      console.log(`\n— serverless ${args.map(quoted).join(" ")}`);
      return await ended;
    },
  );
}
