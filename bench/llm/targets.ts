// The processes that bench/llm/run.ts calls: a vendor, the gateway as it is deployed, a proxy that does nothing, and Portkey.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { build, stop as stopBundler } from "esbuild";
import { parse } from "yaml";
import { freePort } from "../../localstack/parts/ports.ts";
import { type Started, start } from "../../localstack/processes/program.ts";
import { bundling } from "../bundling.ts";
import { startChild } from "../child.ts";

const PORTKEY = process.env["BENCH_PORTKEY"] || "node_modules/@portkey-ai/gateway/build/start-server.js";
const started: Pick<Started, "stop">[] = [];

/** `heapMb` is what is left of the heap after a collection. */
export type Used = { cpuMs: number; rssMb: number; heapMb?: number; externalMb?: number };
export type Target = {
  name: string;
  url: string;
  headers: Record<string, string>;
  used: (collect?: boolean) => Promise<Used> | undefined;
};

export async function stopAll(): Promise<void> {
  await Promise.all(started.map(async ({ stop }) => await stop({ graceMs: 2_000 })));
}

/** What serverless.yml gives the function for its memory: every process that is measured runs with it. */
export function deployedOptions(): Record<string, string> {
  const file = parse(readFileSync("serverless.yml", "utf8"), { logLevel: "error" });
  const { LLM_CONFIG: _, ...options } = file.custom.llm.environment as Record<string, string>;
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => [name, value.replace(/\$\{[^}]*\}/g, "").trim()]),
  );
}

/** Starts everything in `dir`, over a migrated database that has this key. */
export async function startAll(dir: string, databaseUrl: string, key: string): Promise<Target[]> {
  const options = deployedOptions();
  const vendor = await startTarget("bench/llm/vendor.ts", {});
  const config = join(dir, "llm.config.yaml");
  writeFileSync(
    config,
    // An external vendor at the price of the bundled table, which is the usual case and the dearer one.
    `providers:\n  vendor: { type: openai, base_url: "${vendor.url}/v1" }\n` +
      "models:\n  bench: { provider: vendor, id: gpt-5, window: 100000 }\n" +
      "chains:\n  default: { models: [bench] }\n",
  );
  const quiet = {
    LLM_CONFIG: config,
    LOG_LEVEL: "warn",
    BENCH_FUNCTION: join(dir, "functions/llm/llm-stream.cjs"),
    DATABASE_POOL_MAX: "2",
  };
  // Bundled as it is deployed: loading TypeScript as it is takes memory of its own.
  const entryPoints = ["functions/llm/llm-stream.ts", "bench/llm/gateway.ts", "bench/llm/proxy.ts"];
  await build({ ...bundling(), entryPoints, outbase: ".", outdir: dir });
  await stopBundler();
  const kept = await startTarget(join(dir, "bench/llm/gateway.cjs"), {
    ...quiet,
    ...options,
    DATABASE_URL: databaseUrl,
  });
  const proxy = await startTarget(join(dir, "bench/llm/proxy.cjs"), { ...options, BENCH_VENDOR: vendor.url });
  const targets: Target[] = [
    { name: "direct", url: `${vendor.url}/v1`, headers: {}, used: () => undefined },
    { name: "bare proxy", url: `${proxy.url}/v1`, headers: {}, used: proxy.used },
    { name: "llm-route", url: `${kept.url}/llm/v1`, headers: { authorization: `Bearer ${key}` }, used: kept.used },
  ];
  const portkey = await startPortkey(options);
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

/** Starts a program that says where it listens, and what it has used when it is asked. */
async function startTarget(file: string, env: Record<string, string>) {
  const child = startChild(file, env);
  started.push(child);
  const { url } = (await child.hear()) as { url: string };
  return { url, used: async (collect = false) => (await child.ask(collect ? "collect" : "used")) as Used };
}

async function startPortkey(options: Record<string, string>) {
  if (!existsSync(PORTKEY)) return undefined;
  const port = await freePort();
  const args = [PORTKEY, `--port=${port}`, "--headless"];
  const program = start({ command: process.execPath, args, env: { ...process.env, ...options } });
  started.push(program);
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; i < 100; i++) {
    if (await fetch(url).catch(() => undefined)) return { url, used: async () => usedBy(program.pid ?? 0) };
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
