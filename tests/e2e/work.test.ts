import { spawn } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import {
  environmentOf,
  isRunning,
  ownerOf,
  processesWith,
  type Started,
  startStack,
  temporaryDir,
} from "../support/stack/stack.ts";

const dir = temporaryDir();
let stack: Started;

/** What the shell of whoever starts the stack may have, and nothing of it may use. */
const OF_AN_ACCOUNT = {
  AWS_PROFILE: "nobody",
  AWS_SESSION_TOKEN: "of-an-account",
  AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/nobody",
  AWS_WEB_IDENTITY_TOKEN_FILE: "/nowhere",
};

beforeAll(async () => {
  const env = { AGENT_IN_FLIGHT: "1", LEASE_SECONDS: "6", WAYBILL_SWEEP_SECONDS: "0.5", LOG_LEVEL: "info" };
  stack = await startStack({ dataDir: dir.path, env: { ...env, ...OF_AN_ACCOUNT } });
}, 90_000);

afterAll(async () => {
  // Not there where it did not start.
  await (stack as Started | undefined)?.stop();
  dir.remove();
});

type Reply = { status: number; headers: Headers; json: any };

async function call(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  const sent = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(stack.url + path, { ...sent, headers: { ...ownerOf(stack), ...headers } });
  return { status: response.status, headers: response.headers, json: await response.json() };
}

async function submit(work: Record<string, unknown>): Promise<string> {
  const { status, json } = await call("/work", { request_text: "Do it", ...work });
  expect(status).toBe(201);
  return json.task_id as string;
}

function run(command: string, ...args: string[]) {
  return { work_type: "code.run", parameters: { command, args } };
}

async function finished(taskId: string): Promise<any> {
  return await vi.waitUntil(
    async () => {
      const { json } = await call(`/work/${taskId}?wait=25`);
      return json.completed_at !== null && json;
    },
    { timeout: 60_000, interval: 50 },
  );
}

async function executing(taskId: string): Promise<void> {
  await vi.waitUntil(async () => (await call(`/work/${taskId}`)).json.status === "executing", {
    timeout: 10_000,
    interval: 50,
  });
}

async function outputOf(taskId: string): Promise<Buffer> {
  const response = await fetch(`${stack.url}/work/${taskId}/output`, { headers: ownerOf(stack) });
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

test("work is done by an agent and can be asked about afterwards", async () => {
  const taskId = await submit(run("echo", "hello"));

  const task = await finished(taskId);

  expect(task).toMatchObject({ status: "completed", exit_code: 0, attempt: 1, error_message: null });
  expect(task.steps).toMatchObject([{ step_number: 1, action: "echo hello", status: "completed", agent_type: "code" }]);
  expect((await outputOf(taskId)).toString()).toBe("hello\n");
  expect((await call("/work?status=completed")).json.items).toMatchObject([{ task_id: taskId }]);
  expect((await call("/reports/tasks-by-status")).json.rows).toContainEqual(
    expect.objectContaining({ status: "completed", tasks: 1 }),
  );
});

test("a command that fails is failed work, with its exit code and reason", async () => {
  const task = await finished(await submit(run("node", "-e", "console.error('no such host'); process.exit(7)")));

  expect(task).toMatchObject({ status: "failed", exit_code: 7 });
  expect(task.error_message).toContain("no such host");
});

test("work that needs approval waits for a person", async () => {
  const taskId = await submit({ ...run("true"), approval: "required" });
  const pending = await call(`/work/${taskId}?wait=1`);
  expect(pending.json).toMatchObject({ status: "pending", attempt: 0 });

  const approved = await call(`/work/${taskId}/approve`, { reason: "harmless" });

  expect(approved.json).toMatchObject({ status: "approved", approved_by: "owner", approval_reason: "harmless" });
  expect(await finished(taskId)).toMatchObject({ status: "completed" });
  expect((await call(`/work/${taskId}/approve`, {})).status).toBe(409);
});

test("cancelling running work ends its command", async () => {
  const taskId = await submit(run("sleep", "86.753"));
  await vi.waitUntil(() => processesWith("sleep 86.753").length === 1, { timeout: 10_000, interval: 50 });

  const { json } = await call(`/work/${taskId}/cancel`, { reason: "changed my mind" });

  // At once where its agent has not been heard of yet, otherwise when the agent has confirmed it.
  expect(["cancelling", "cancelled"]).toContain(json.status);
  await vi.waitUntil(() => processesWith("sleep 86.753").length === 0, { timeout: 10_000, interval: 50 });
  expect((await call(`/work/${taskId}?wait=20`)).json).toMatchObject({ status: "cancelled" });
});

test("twenty equal submits at once make one task", async () => {
  const body = { request_text: "Do it", request_id: randomUUID(), ...run("true") };

  const replies = await Promise.all(Array.from({ length: 20 }, () => call("/work", body)));

  expect(new Set(replies.map(({ json }) => json.task_id)).size).toBe(1);
  expect(replies.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(replies.filter(({ headers }) => headers.get("idempotent-replayed") === "true")).toHaveLength(19);
  expect((await call("/work", { ...body, request_text: "Do another" })).status).toBe(409);
  await finished(replies[0]?.json.task_id);
});

test("over 2 MB of output come back byte for byte, whatever the bytes", async () => {
  const script =
    "for (let i = 0; i < 9000; i++) process.stdout.write(Buffer.alloc(256, i * 7 + 1).map((b, j) => b ^ j))";
  const wanted = Buffer.concat(
    Array.from({ length: 9000 }, (_, i) => Buffer.alloc(256, i * 7 + 1).map((b, j) => b ^ j)),
  );

  const taskId = await submit(run("node", "-e", script));

  expect(await finished(taskId)).toMatchObject({ status: "completed" });
  const output = await outputOf(taskId);
  expect(output.length).toBe(2_304_000);
  expect(sha256(output)).toBe(sha256(wanted));
});

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

test("waiting work is done by priority, then by age", async () => {
  const busy = await submit(run("sleep", "2"));
  await executing(busy);
  const ids = [];
  for (const priority of [1, 9, 5, 9]) ids.push(await submit({ ...run("true"), priority }));

  const tasks = await Promise.all(ids.map(finished));

  const order = tasks.toSorted((a, b) => Date.parse(a.started_at) - Date.parse(b.started_at));
  expect(order.map((task) => task.task_id)).toEqual([ids[1], ids[3], ids[2], ids[0]]);
});

test("an agent killed in the middle is started again and does the work anew", async () => {
  const taskId = await submit(run("node", "-e", "setTimeout(() => console.log('done'), 1500)"));
  await vi.waitUntil(() => processesWith("console.log('done'), 1500").length === 1, { timeout: 10_000, interval: 20 });
  const [agent = 0] = processesWith("agents/code.ts").filter((pid) => stack.family().includes(pid));

  process.kill(agent, "SIGKILL");

  const task = await finished(taskId);
  expect(isRunning(agent)).toBe(false);
  expect(task).toMatchObject({ status: "completed", exit_code: 0, attempt: 2 });
  expect((await outputOf(taskId)).toString()).toBe("done\n");
});

test("an agent that never comes back loses its lease; another one does the work, once", {
  timeout: 90_000,
}, async () => {
  const { json } = await call("/keys", { name: "research", kind: "agent", agent: "research" });
  const first = startResearcher("first", json.key as string);
  const taskId = await submit({ work_type: "research.read", to_agent: "research", parameters: { seconds: 8 } });
  await executing(taskId);
  await vi.waitUntil(async () => (await call(`/work/${taskId}`)).json.steps.length === 1, { timeout: 10_000 });
  first.kill("SIGKILL");

  const second = startResearcher("second", json.key as string);
  const task = await finished(taskId);
  second.kill("SIGTERM");

  expect(task).toMatchObject({ status: "completed", attempt: 2 });
  const { steps } = (await call(`/work/${taskId}/logs`)).json;
  expect(steps.filter((step: any) => step.status === "completed")).toMatchObject([{ attempt: 2 }]);
  expect((await outputOf(taskId)).toString()).toBe("read once\n");
});

/** An agent on a machine of its own: it knows nothing of what another did. */
function startResearcher(name: string, key: string) {
  const env = environmentOf(stack);
  const queues = JSON.parse(env["AGENT_QUEUES"] ?? "{}") as Record<string, string>;
  return spawn(process.execPath, ["tests/support/agents/research-agent.ts"], {
    env: {
      ...env,
      WAYBILL_API_URL: stack.url,
      WAYBILL_API_KEY: key,
      AGENT_QUEUE_URL: queues["research"],
      WAYBILL_AGENT_DATA: join(dir.path, name),
      AGENT_POLL_SECONDS: "1",
    },
    stdio: "ignore",
  });
}

test.for([
  ["/nowhere", 404],
  ["/work/%ZZ", 400],
  [`/work/${randomUUID()}`, 404],
  ["/work/no-uuid", 400],
] as const)("%s is answered as a problem", async ([path, status]) => {
  const reply = await call(path);

  expect(reply.status).toBe(status);
  expect(reply.headers.get("content-type")).toContain("application/problem+json");
  expect(reply.json).toMatchObject({ status, code: expect.any(String), detail: expect.any(String) });
});

test.for([
  ["HEAD", `/work/${randomUUID()}/approve`, 405, "POST"],
  ["HEAD", "/nowhere", 404, null],
  ["HEAD", "/work/%ZZ", 400, null],
  ["POST", "/health", 405, "GET, HEAD"],
] as const)("%s %s has no route and is answered %d, Allow %s", async ([method, path, status, allow]) => {
  const { status: got, headers } = await fetch(stack.url + path, { method, headers: ownerOf(stack) });

  expect([got, headers.get("allow")]).toEqual([status, allow]);
  expect(headers.get("content-type")).toContain("application/problem+json");
});

test.for(["/health", "/work", "/openapi.json"])("HEAD %s is what GET is, without its body", async (path) => {
  const [head, get] = await Promise.all(
    ["HEAD", "GET"].map(async (method) => await fetch(stack.url + path, { method, headers: ownerOf(stack) })),
  );

  expect([head?.status, head?.headers.get("content-type")]).toEqual([get?.status, get?.headers.get("content-type")]);
  expect(await head?.text()).toBe("");
  await get?.text();
});

test("a method that HTTP does not have is a problem, at both addresses", async () => {
  for (const url of [stack.url, environmentOf(stack)["LLM_STREAM_URL"] ?? ""]) {
    const answer = await fetch(url, { method: "FOO" });

    expect([answer.status, answer.headers.get("content-type")]).toEqual([400, "application/problem+json"]);
    expect(await answer.json()).toMatchObject({ status: 400, code: "bad_request" });
  }
});

test("a page of somebody else's in the browser of this machine is refused, and nothing is kept", async () => {
  const before = (await call("/work?limit=1")).json.items[0]?.task_id;
  const work = { request_text: "pwn", work_type: "code.run", parameters: { command: "echo" } };

  const headers = { origin: "https://evil.example", "content-type": "text/plain" };
  const reply = await call("/work", work, headers);

  expect(reply.status).toBe(403);
  expect(reply.headers.get("content-type")).toContain("application/problem+json");
  expect((await call("/work?limit=1")).json.items[0]?.task_id).toBe(before);
});
