import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { quoted } from "./target.ts";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/**
 * Runs a command of the framework with what it prints in sight and these variables beside our own; answers its exit code. Whoever ends us
 * meanwhile ends the framework alone: left to itself it would go on where another deploy may begin, and nobody would tell what is true.
 */
export async function serverless(args: readonly string[], env: Record<string, string> = {}): Promise<number> {
  const program = createRequire(import.meta.url).resolve("serverless/bin/serverless.js");
  const child = spawn(process.execPath, [program, ...args], { stdio: "inherit", env: { ...process.env, ...env } });
  const end = () => void child.kill("SIGTERM");
  for (const signal of SIGNALS) process.on(signal, end);
  console.log(`\n— serverless ${args.map(quoted).join(" ")}`);
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve(code ?? 1));
    });
  } finally {
    for (const signal of SIGNALS) process.off(signal, end);
  }
}
