import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { lineOf } from "../../lib/terminal/table.ts";
import { bundling } from "../bundling.ts";
import { median } from "../measure.ts";

/** `npm run bench:edge`: the cold start and the calls of our HTTP edge beside Hono's, each run in a process of its own. */
const RUNS = 5;
const EDGES = ["nothing", "own", "hono"];

type Run = { initMs: number; callUs: number; rssMb: number };

const dir = mkdtempSync(join(tmpdir(), "waybill-bench-"));
try {
  const entryPoints = EDGES.map((edge) => join(import.meta.dirname, `${edge}.ts`));
  await build({ ...bundling(), entryPoints, outdir: dir, logLevel: "silent" });
  const line = lineOf(-10, 24, 14, 10, 12);
  console.log(line("edge", "import + first call, ms", "us a call", "RSS, MB", "bundle, kB"));
  const runs: Record<string, Run[]> = {};
  // In turn, so that what else the machine does meets all of them.
  for (let i = 0; i < RUNS; i++) for (const edge of EDGES) (runs[edge] ??= []).push(once(edge));
  for (const edge of EDGES) {
    const middle = (figure: keyof Run) => median((runs[edge] ?? []).map((run) => run[figure]));
    const figures = [middle("initMs"), middle("callUs"), middle("rssMb"), statSync(bundleOf(edge)).size / 1e3];
    console.log(line(edge, ...figures.map((figure) => figure.toFixed(figure < 10 ? 1 : 0))));
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}

function once(edge: string): Run {
  const script = join(import.meta.dirname, "once.mjs");
  const env = { ...process.env, LOG_LEVEL: "silent" };
  return JSON.parse(execFileSync(process.execPath, [script, bundleOf(edge)], { env, encoding: "utf8" })) as Run;
}

function bundleOf(edge: string): string {
  return join(dir, `${edge}.cjs`);
}
