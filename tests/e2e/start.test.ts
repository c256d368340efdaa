import { readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import {
  environmentOf,
  isRunning,
  launch,
  launchOffline,
  ownerOf,
  ready,
  type Started,
  startStack,
  temporaryDir,
} from "../support/stack/stack.ts";

const dir = temporaryDir();
let stack: Started;
/** What the first start has printed. */
let first = "";

beforeAll(async () => {
  stack = await startStack({ dataDir: dir.path, args: ["--no-agents"] });
  first = stack.output();
}, 90_000);

afterAll(async () => {
  // Not there where it did not start.
  await (stack as Started | undefined)?.stop("SIGKILL");
  dir.remove();
});

async function exitOf(started: Started): Promise<number | null> {
  return await new Promise((resolve) => started.child.once("close", (code) => resolve(code)));
}

test("a second start over the same data names the first and what to do", async () => {
  const second = await launch({ dataDir: dir.path });

  expect(await exitOf(second)).toBe(1);
  expect(second.output()).toContain(`A stack already runs (pid ${stack.child.pid}, ${stack.url}) over ${dir.path}`);
  expect(second.output()).toContain("npm start -- --port 3001 --data DIR");
});

test("a taken port is named with the option that chooses another", async () => {
  const other = temporaryDir();
  const holder = createServer().listen(0, "127.0.0.1");
  await vi.waitUntil(() => holder.listening);
  const { port } = holder.address() as { port: number };

  const second = await launch({ dataDir: other.path, port });

  expect(await exitOf(second)).toBe(1);
  expect(second.output()).toContain(`Port ${port} is taken. Start with another one: npm start -- --port ${port + 1}`);
  holder.close();
  other.remove();
});

test.for([
  ["--prot", "Unknown option '--prot'"],
  ["--port=many", '--port must be a number from 0 to 65535, not "many"'],
] as const)("%s is answered with how to use it", async ([flag, fault]) => {
  const started = await launch({ dataDir: dir.path, args: [flag] });

  expect(await exitOf(started)).toBe(2);
  expect(started.output()).toContain(fault);
  expect(started.output()).toContain("Usage: npm start -- [--port N] [--data DIR] [--no-agents]");
});

test("stopped by a signal it leaves no process, and the next start does what was waiting", async () => {
  const command = curlLine(stack);
  const response = await fetch(command.url, { method: "POST", body: command.body, headers: ownerOf(stack) });
  const { task_id } = (await response.json()) as { task_id: string };
  const family = stack.family();
  expect(family.length).toBeGreaterThan(2);

  const began = Date.now();
  expect(await stack.stop("SIGTERM")).toBe(0);

  expect(Date.now() - began).toBeLessThan(10_000);
  expect(family.filter(isRunning)).toEqual([]);
  stack = await startStack({ dataDir: dir.path });
  const task = await (await fetch(`${stack.url}/work/${task_id}?wait=20`, { headers: ownerOf(stack) })).json();
  expect(task).toMatchObject({ status: "completed" });
}, 90_000);

test("the owner's key is shown once, is kept for its owner alone, and is the same after a new database", async () => {
  const file = join(dir.path, "key");
  const key = readFileSync(file, "utf8").trim();
  const agents = ["code", "infra"].map((name) => readFileSync(join(dir.path, "keys", name, "key"), "utf8").trim());

  expect(first).toContain(`${key}  (the owner's; kept in ${file}, and not shown again)`);
  expect(stack.output()).not.toContain(key);
  expect(stack.output()).toContain(`${file} (the owner's)`);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(new Set([key, ...agents]).size).toBe(3);
  const sql = postgres(environmentOf(stack)["DATABASE_URL"] ?? "", { max: 1 });
  await sql`delete from api_keys`;
  await sql.end();
  const status = async () => (await fetch(`${stack.url}/keys`, { headers: ownerOf(stack) })).status;
  await vi.waitFor(async () => expect(await status()).toBe(401), 10_000);

  await stack.stop();
  stack = await startStack({ dataDir: dir.path });

  expect(ownerOf(stack).authorization).toBe(`Bearer ${key}`);
  const answer = await fetch(`${stack.url}/keys`, { headers: ownerOf(stack) });
  const { items } = (await answer.json()) as { items: { name: string; kind: string }[] };
  expect(items.map(({ name }) => name)).toEqual(["local-owner", "local-agent-infra", "local-agent-code"]);
}, 90_000);

test("without a key a call is refused with the line that helps", async () => {
  const answer = await fetch(`${stack.url}/work`);

  expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
  expect(await answer.json()).toMatchObject({
    code: "credentials_missing",
    detail: `This call takes a key. Send one: curl -H "Authorization: Bearer $(cat ${join(dir.path, "key")})" …`,
  });
});

test("killed outright it takes its parts along", async () => {
  const family = stack.family();

  await stack.stop("SIGKILL");

  await vi.waitUntil(() => !family.some(isRunning), { timeout: 10_000, interval: 50 });
  expect(family.length).toBeGreaterThan(4);
});

test("serverless offline alone brings all that the functions need", async () => {
  const offline = await ready(await launchOffline(dir.path));
  const family = offline.family();

  const health = await fetch(`${offline.url}/health`);

  expect(await health.json()).toMatchObject({ status: "ok", migrations: { pending: [] } });
  expect(await offline.stop("SIGINT")).toBe(0);
  expect(family.filter(isRunning)).toEqual([]);
}, 60_000);

/** The curl line that the start prints, taken apart: it must be one that a shell would run. */
function curlLine(started: Started): { url: string; body: string } {
  const line = started
    .output()
    .split("\n")
    .find((text) => text.startsWith("curl "));
  const said = /^curl -s -H "Authorization: Bearer \$\(cat (\S+)\)" (\S+) -d '([^']+)'$/.exec(line ?? "");
  const [, file = "", url = "", body = ""] = said ?? [];
  expect(file).toBe(join(started.dataDir, "key"));
  return { url, body };
}
