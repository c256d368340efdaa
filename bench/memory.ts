import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { build } from "esbuild";
import { lineOf } from "../lib/terminal/table.ts";
import type { Stack } from "../localstack/stack.ts";
import { bundling } from "./bundling.ts";

const ROOT = join(import.meta.dirname, "..");
const CALLS = 50;

/**
 * Prints the memory of each function in a Node process of its own that holds nothing but its bundle, after `CALLS` calls against
 * the running stack: resident set at the end, and what importing the bundle took. A bare Node is part of the figure.
 */
export async function measureMemory(stack: Stack): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "waybill-bench-"));
  try {
    const line = lineOf(-36, 10, 12, 12);
    console.log(line(`function, after ${CALLS} calls`, "RSS, MB", "import, ms", "bundle, kB"));
    const files = readdirSync(join(ROOT, "functions"), { recursive: true, encoding: "utf8" });
    for (const file of files.filter((each) => each.endsWith(".ts"))) {
      const name = basename(file, ".ts");
      await build({ ...bundling(), entryPoints: [join(ROOT, "functions", file)], outdir: dir, logLevel: "silent" });
      const bundle = join(dir, `${name}.cjs`);
      const { rssMb, importMs } = run(bundle, eventOf(name), stack.environment);
      const kilobytes = readFileSync(bundle).length / 1e3;
      console.log(line(name, ...[rssMb, importMs, kilobytes].map((figure) => figure.toFixed(0))));
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Loads a bundle in a plain Node with the script that the tests of the package use too, and calls it. */
function run(bundle: string, event: unknown, environment: Record<string, string>): { rssMb: number; importMs: number } {
  const script = join(ROOT, "tests", "deploy", "run-bundle.mjs");
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, bundle], {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 64_000_000,
    input: JSON.stringify(Array.from({ length: CALLS }, () => event)),
    env: { ...process.env, ...environment, LOG_LEVEL: "silent" },
  });
  if (status !== 0) throw new Error(`${basename(bundle)} ended with ${status}: ${stderr.slice(-500)}`);
  const { megabytes, loadMs } = JSON.parse(stdout) as { megabytes: number; loadMs: number };
  return { rssMb: megabytes, importMs: loadMs };
}

function http(method: string, path: string, more: object = {}): object {
  return { rawPath: path, headers: {}, requestContext: { http: { method, path } }, ...more };
}

/** A call of each kind that does its usual work. */
function eventOf(name: string): unknown {
  const task_id = "00000000-0000-7000-8000-000000000000";
  const one = { pathParameters: { task_id } };
  switch (name) {
    case "submit-work":
      return http("POST", "/work", {
        body: JSON.stringify({ request_text: "bench", work_type: "research.none", approval: "required" }),
      });
    case "get-work":
    case "get-logs":
    case "get-output":
      return http("GET", `/work/${task_id}`, one);
    case "decide-work":
      return http("POST", `/work/${task_id}/approve`, { ...one, body: '{"by":"bench"}' });
    case "get-report":
      return http("GET", "/reports/tasks-by-status", { pathParameters: { name: "tasks-by-status" } });
    case "dispatch":
    case "record-result":
      return { Records: [] };
    case "migrate":
      return { command: "status" };
    case "llm-route":
    case "llm-stream":
      return http("GET", "/llm/v1/models");
    default:
      return http("GET", "/work");
  }
}
