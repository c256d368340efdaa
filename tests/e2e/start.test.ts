import { createServer } from "node:net";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import {
  isRunning,
  launch,
  launchOffline,
  ready,
  type Started,
  startStack,
  temporaryDir,
} from "../support/stack/stack.ts";

const dir = temporaryDir();
let stack: Started;

beforeAll(async () => {
  stack = await startStack({ dataDir: dir.path, args: ["--no-agents"] });
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
  const response = await fetch(command.url, { method: "POST", body: command.body, headers: command.headers });
  const { task_id } = (await response.json()) as { task_id: string };
  const family = stack.family();
  expect(family.length).toBeGreaterThan(2);

  const began = Date.now();
  expect(await stack.stop("SIGTERM")).toBe(0);

  expect(Date.now() - began).toBeLessThan(10_000);
  expect(family.filter(isRunning)).toEqual([]);
  stack = await startStack({ dataDir: dir.path });
  const task = await (await fetch(`${stack.url}/work/${task_id}?wait=20`)).json();
  expect(task).toMatchObject({ status: "completed" });
}, 90_000);

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
function curlLine(started: Started): { url: string; body: string; headers: Record<string, string> } {
  const line = started
    .output()
    .split("\n")
    .find((text) => text.startsWith("curl "));
  const [, url = "", header = "", body = ""] = /^curl -s (\S+) -H '([^']+)' -d '([^']+)'$/.exec(line ?? "") ?? [];
  const [name = "", value = ""] = header.split(": ");
  return { url, body, headers: { [name]: value } };
}
