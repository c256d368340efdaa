// npm run bench:llm: what the gateway adds to a direct call, in time, CPU and memory, beside a proxy that does nothing and
// Portkey's gateway where it is installed.
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { migrate } from "../../lib/migrations/migrator.ts";
import { giveKeys } from "../../localstack/functions/first-keys.ts";
import { keyFile, readKey } from "../../localstack/parts/keys.ts";
import { freePort } from "../../localstack/parts/ports.ts";
import { startPostgres } from "../../localstack/parts/postgres.ts";
import { median } from "../measure.ts";
import { type Measured, print } from "./report.ts";
import { deployedOptions, startAll, stopAll, type Target } from "./targets.ts";

const ROUNDS = 7;
const CALLS = Number(process.env["BENCH_CALLS"] || 300);
const PARALLEL = 32;

const agent = new http.Agent({ keepAlive: true, maxSockets: PARALLEL });
const dir = mkdtempSync(join(tmpdir(), "waybill-bench-"));
const database = await startPostgres({ dataDir: join(dir, "postgres"), port: await freePort(), durable: false });
try {
  await migrate({ command: "up" }, { DATABASE_URL: database.url("postgres") });
  await giveKeys(dir, [], { DATABASE_URL: database.url("postgres") });
  const targets = await startAll(dir, database.url("postgres"), readKey(keyFile(dir)) ?? "");
  const options = Object.entries(deployedOptions()).map(([name, value]) => `${name}="${value}"`);
  console.log(`Every process runs with what serverless.yml gives the function: ${options.join(" ")}\n`);
  const measured = new Map<string, Measured>();
  for (const target of targets) measured.set(target.name, await measure(target));
  print(measured, PARALLEL);
} finally {
  await stopAll();
  agent.destroy();
  await database.stop();
  rmSync(dir, { recursive: true, force: true });
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
  const { heapMb, externalMb } = (await target.used(true)) ?? after;
  return {
    ...base,
    cpuMs: (after.cpuMs - before.cpuMs) / (CALLS * 5),
    oneByOneMb: before.rssMb,
    parallelMb: after.rssMb,
    ...(idleMb === undefined ? {} : { idleMb }),
    ...(heapMb === undefined ? {} : { heapMb }),
    ...(externalMb === undefined ? {} : { externalMb }),
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
