// npm run bench:llm: what the gateway adds to a direct call, in time, CPU and memory, beside Portkey's gateway where it is installed.
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { build, stop as stopBundler } from "esbuild";
import { freePort } from "../localstack/ports.ts";
import { startPostgres } from "../localstack/postgres.ts";

const ROUNDS = 7;
const CALLS = Number(process.env["BENCH_CALLS"] || 300);
const PARALLEL = 32;
const PORTKEY = process.env["BENCH_PORTKEY"] || "node_modules/@portkey-ai/gateway/build/start-server.js";

type Target = { name: string; url: string; headers: Record<string, string>; used: () => Promise<Used> | undefined };
type Used = { cpuMs: number; rssMb: number };
type Measured = {
  medianMs: number;
  ttftMs: number;
  cpuMs?: number;
  perSecond: number;
  rssMb?: number;
  idleMb?: number;
};

const agent = new http.Agent({ keepAlive: true, maxSockets: PARALLEL });
const children: ChildProcess[] = [];
const dir = mkdtempSync(join(tmpdir(), "waybill-bench-"));
const database = await startPostgres({ dataDir: join(dir, "postgres"), port: await freePort(), durable: false });
try {
  const targets = await startAll();
  const measured = new Map<string, Measured>();
  for (const target of targets) measured.set(target.name, await measure(target));
  print(measured);
} finally {
  for (const child of children) child.kill();
  agent.destroy();
  await database.stop();
  rmSync(dir, { recursive: true, force: true });
}

async function startAll(): Promise<Target[]> {
  const vendor = await startChild("bench/llm-vendor.ts", {});
  const config = join(dir, "llm.config.yaml");
  writeFileSync(
    config,
    `providers:\n  vendor: { type: openai, base_url: "${vendor.url}/v1", local: true }\n` +
      "models:\n  bench: { provider: vendor, id: bench, window: 100000, price: { input: 1, output: 2 } }\n" +
      "chains:\n  default: { models: [bench] }\n",
  );
  const quiet = {
    LLM_CONFIG: config,
    LOG_LEVEL: "warn",
    BENCH_FUNCTION: join(dir, "functions/llm-stream.mjs"),
    DATABASE_POOL_MAX: "2",
  };
  const { migrate } = await import("../lib/migrator.ts");
  await migrate({ command: "up" }, { DATABASE_URL: database.url("postgres") });
  // Bundled as it is deployed: loading TypeScript as it is takes memory of its own.
  const built = {
    bundle: true,
    minify: true,
    platform: "node",
    target: "node24",
    format: "esm",
    outdir: dir,
    outExtension: { ".js": ".mjs" },
  } as const;
  const banner = { js: 'import { createRequire as __r } from "node:module"; const require = __r(import.meta.url);' };
  await build({ ...built, banner, entryPoints: ["functions/llm-stream.ts", "bench/llm-gateway.ts"], outbase: "." });
  await stopBundler();
  const kept = await startChild(join(dir, "bench/llm-gateway.mjs"), {
    ...quiet,
    DATABASE_URL: database.url("postgres"),
  });
  const targets: Target[] = [
    { name: "direct", url: `${vendor.url}/v1`, headers: {}, used: () => undefined },
    { name: "llm-route", url: `${kept.url}/llm/v1`, headers: {}, used: kept.used },
  ];
  const portkey = await startPortkey();
  if (portkey === undefined)
    console.log("Portkey's gateway is left out: npm i --no-save @portkey-ai/gateway@1.15.2 brings it.\n");
  else {
    const headers = {
      "x-portkey-provider": "openai",
      "x-portkey-custom-host": `${vendor.url}/v1`,
      authorization: "Bearer x",
    };
    targets.push({ name: "portkey", url: `${portkey.url}/v1`, headers, used: portkey.used });
  }
  return targets;
}

async function startChild(file: string, env: Record<string, string>) {
  const child = fork(file, { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "inherit", "ipc"] });
  children.push(child);
  const [{ url }] = (await once(child, "message")) as [{ url: string }];
  const used = async (): Promise<Used> => {
    child.send("used");
    const [answer] = (await once(child, "message")) as [Used];
    return answer;
  };
  return { url, used };
}

async function startPortkey() {
  if (!existsSync(PORTKEY)) return undefined;
  const port = await freePort();
  const child = spawn(process.execPath, [PORTKEY, `--port=${port}`, "--headless"], { stdio: "ignore" });
  children.push(child);
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; i < 100; i++) {
    if (await fetch(url).catch(() => undefined)) return { url, used: async () => usedBy(child.pid ?? 0) };
    await sleep(100);
  }
  return undefined;
}

/** CPU time and memory of a process that is not ours to ask, from the kernel; Linux only. */
function usedBy(pid: number): Used {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kb = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
  return { cpuMs: (Number(stat[11]) + Number(stat[12])) * 10, rssMb: kb / 1000 };
}

async function measure(target: Target): Promise<Measured> {
  const idleMb = (await target.used())?.rssMb;
  const streams = await call(target, true).then(
    () => true,
    (error: unknown) => console.log(`${target.name} does not stream here: ${(error as Error).message}`),
  );
  for (let i = 0; i < 1000; i++) await call(target, streams === true && i % 2 === 0);
  const streamed = streams === true ? CALLS / ROUNDS / 2 : 0;
  const medians: number[] = [];
  const firsts: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const times: number[] = [];
    for (let i = 0; i < CALLS / ROUNDS; i++) times.push((await call(target, false)).ms);
    medians.push(median(times));
    const waits: number[] = [];
    for (let i = 0; i < streamed; i++) waits.push((await call(target, true)).ttftMs);
    firsts.push(median(waits));
  }
  await sleep(300);
  const before = await target.used();
  const began = performance.now();
  let left = CALLS * 5;
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      while (left-- > 0) await call(target, false);
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  await sleep(500);
  const after = await target.used();
  const base = { medianMs: median(medians), ttftMs: median(firsts), perSecond: (CALLS * 5) / seconds };
  if (before === undefined || after === undefined) return base;
  return {
    ...base,
    cpuMs: (after.cpuMs - before.cpuMs) / (CALLS * 5),
    rssMb: after.rssMb,
    ...(idleMb === undefined ? {} : { idleMb }),
  };
}

async function call({ url, headers }: Target, stream: boolean): Promise<{ ms: number; ttftMs: number }> {
  const body = JSON.stringify({
    model: "bench",
    messages: [{ role: "user", content: "say sixty words" }],
    ...(stream ? { stream } : {}),
  });
  const began = performance.now();
  return await new Promise((resolve, reject) => {
    const request = http.request(
      `${url}/chat/completions`,
      { method: "POST", agent, headers: { "content-type": "application/json", ...headers } },
      (response) => {
        let ttftMs = 0;
        let text = "";
        response.on("data", (part: Buffer) => {
          text += part.toString();
          if (ttftMs === 0 && text.includes("word0")) ttftMs = performance.now() - began;
        });
        response.on("end", () => {
          if (response.statusCode === 200 && text.includes("word59"))
            resolve({ ms: performance.now() - began, ttftMs });
          else reject(new Error(`${url} answered ${response.statusCode}: ${text.slice(0, 200)}`));
        });
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function print(all: Map<string, Measured>): void {
  const direct = all.get("direct");
  const portkey = all.get("portkey");
  for (const [name, it] of all) {
    console.log(
      `${name}: median ${it.medianMs.toFixed(2)} ms, first token ${inMs(it.ttftMs)}, ${it.perSecond.toFixed(0)} calls/s at ${PARALLEL}` +
        (it.cpuMs === undefined
          ? ""
          : `, ${it.cpuMs.toFixed(2)} CPU-ms a call (${(1000 / it.cpuMs).toFixed(0)} calls/s a core), ${it.idleMb?.toFixed(0)} MB before the first call, ${it.rssMb?.toFixed(0)} MB after the last`),
    );
    if (direct === undefined || name === "direct") continue;
    console.log(
      `  added to a direct call: median ${(it.medianMs - direct.medianMs).toFixed(2)} ms (x${(it.medianMs / direct.medianMs).toFixed(2)}), first token ${inMs(it.ttftMs - direct.ttftMs)} (x${(it.ttftMs / direct.ttftMs).toFixed(2)})`,
    );
  }
  const ours = all.get("llm-route");
  if (ours === undefined || direct === undefined) return;
  if (portkey?.cpuMs !== undefined && ours.cpuMs !== undefined) {
    console.log(
      `llm-route against portkey: CPU x${(ours.cpuMs / portkey.cpuMs).toFixed(2)}, added median x${((ours.medianMs - direct.medianMs) / (portkey.medianMs - direct.medianMs)).toFixed(2)}, memory x${((ours.rssMb ?? 0) / (portkey.rssMb ?? 1)).toFixed(2)}`,
    );
  }
  const targets: [string, number, number][] = [
    ["added median, ms", ours.medianMs - direct.medianMs, 1],
    ["CPU-ms a plain call", ours.cpuMs ?? Number.NaN, 1],
    ["added first token, ms", ours.ttftMs - direct.ttftMs, 2],
    ["memory, MB", ours.rssMb ?? Number.NaN, 100],
  ];
  for (const [name, value, limit] of targets)
    console.log(`${value < limit ? "met   " : "MISSED"} ${name}: ${value.toFixed(2)} (target < ${limit})`);
}

function inMs(ms: number): string {
  return Number.isNaN(ms) ? "not measured" : `${ms.toFixed(2)} ms`;
}
