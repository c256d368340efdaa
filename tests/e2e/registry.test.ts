import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { environmentOf, ownerOf, type Started, startStack, temporaryDir } from "../support/stack/stack.ts";

const dir = temporaryDir();
let stack: Started;
let writer: ChildProcess | undefined;

beforeAll(async () => {
  const env = { AGENT_PRESENCE_SECONDS: "6", ROUTER_SNAPSHOT_SECONDS: "0", WAYBILL_SWEEP_SECONDS: "0.5" };
  stack = await startStack({ dataDir: dir.path, args: ["--no-agents"], env });
}, 120_000);

afterAll(async () => {
  writer?.kill("SIGKILL");
  await (stack as Started | undefined)?.stop();
  dir.remove();
});

async function call(method: string, path: string, body?: string, type = "application/json") {
  const sent = body === undefined ? {} : { body };
  const headers = { ...ownerOf(stack), "content-type": type };
  const response = await fetch(stack.url + path, { method, headers, ...sent });
  return { status: response.status, json: (await response.json()) as any };
}

const poem = JSON.stringify({
  request_text: "Write a poem of the sea",
  work_type: "text.poem",
  parameters: { of: "sea" },
});

const becomes = async (path: string, is: (json: any) => boolean) =>
  await vi.waitUntil(
    async () => {
      const { json } = await call("GET", path);
      return is(json) && json;
    },
    { timeout: 30_000, interval: 100 },
  );

/** An agent that does not ship, as a process of its own, on the queue that the registry has made for it. */
function startWriter(queue: string): void {
  writer = spawn(process.execPath, ["tests/agent-kit/fixtures/writer.ts"], {
    env: {
      ...process.env,
      ...environmentOf(stack),
      AGENT_QUEUE_URL: queue,
      AGENT_POLL_SECONDS: "1",
      AGENT_PRESENCE_EVERY_SECONDS: "1",
      WAYBILL_AGENT_DATA: join(dir.path, "agents"),
      WAYBILL_API_URL: stack.url,
      WAYBILL_API_KEY: key,
    },
    stdio: "ignore",
  });
}

let queue = "";
let key = "";

test("the agents that ship are there from the start", async () => {
  const { json } = await call("GET", "/agents");

  expect(json.items.map(({ name }: { name: string }) => name)).toEqual([
    "code",
    "desktop",
    "infra",
    "orchestrator",
    "research",
  ]);
});

test("an agent that is put as YAML has a queue, and gets the work that it is made for without being named", async () => {
  const yaml = "# A stranger's agent\nname: writer\ntriggers:\n  - write a poem\nwork_types: [text.*]\n";
  const stored = await call("PUT", "/agents/writer", yaml, "application/yaml");
  queue = stored.json.queue.url;
  const made = await call("POST", "/keys", JSON.stringify({ name: "writer", kind: "agent", agent: "writer" }));
  key = made.json.key;
  startWriter(queue);
  const registered = await becomes("/agents/writer", ({ version }) => version === "1.1.0");
  await becomes("/agents/writer", ({ presence }) => presence.seen_at !== null);

  const submitted = await call("POST", "/work", poem);
  const task = await becomes(`/work/${submitted.json.task_id}?wait=20`, ({ completed_at }) => completed_at !== null);

  expect(stored.status).toBe(201);
  expect(registered.versions).toHaveLength(2);
  expect(submitted.json).toMatchObject({ to_agent: "writer", routing: { strategy: "work_type" } });
  expect(task).toMatchObject({ status: "completed", to_agent: "writer" });
});

test("an agent that has fallen silent is not chosen; its work waits, and is done when it is back", async () => {
  writer?.kill("SIGKILL");
  await becomes("/agents/writer", ({ presence }) => !presence.present);

  const submitted = await call("POST", "/work", poem);
  startWriter(queue);
  const task = await becomes(`/work/${submitted.json.task_id}?wait=20`, ({ completed_at }) => completed_at !== null);

  expect(submitted.json).toMatchObject({ status: "pending", to_agent: null, routing: { strategy: "none" } });
  expect(submitted.json.routing.alternatives).toMatchObject([{ agent: "writer", passed_over: expect.any(String) }]);
  expect(task).toMatchObject({ status: "completed", to_agent: "writer" });
});
