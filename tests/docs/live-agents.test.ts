import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { text } from "node:stream/consumers";
import postgres from "postgres";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { clearBroker, findBroker as findStackBroker } from "../../localstack/parts/rabbitmq.ts";
import { findPython } from "../support/agents/python.ts";
import { findBroker } from "../support/queues/rabbitmq.ts";
import { environmentOf, ownerOf, type Started, startStack, temporaryDir } from "../support/stack/stack.ts";
import { blocksOf } from "./pages.ts";
import { said } from "./shell.ts";

// The agents of docs/agents.md as a reader has them: the page's program, the page's variables, the page's curl, beside a stack that has
// been there for longer than an agent may be silent.

const found = await findBroker();
const python = findPython();
const PAGE = "docs/agents.md";
const commands = said.filter(({ page }) => page === PAGE).map(({ command }) => command);

// Beside the code, for there the program finds its packages.
mkdirSync(".waybill", { recursive: true });
const folder = mkdtempSync(join(".waybill", "docs-"));
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) process.kill(-(child.pid ?? 0), "SIGKILL");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A stack in which every definition is a day old, and of research nothing was ever heard. */
async function oldStack(dataDir: string, args: string[] = [], env: Record<string, string> = {}): Promise<Started> {
  const stack = await startStack({ dataDir, args: ["--no-agents", ...args], env });
  const sql = postgres(environmentOf(stack)["DATABASE_URL"] ?? "", { max: 1 });
  await sql`alter table agent_definitions disable trigger agent_definitions_touch`;
  await sql`update agent_definitions set updated_at = now() - interval '1 day', created_at = now() - interval '1 day'`;
  await sql`alter table agent_definitions enable trigger agent_definitions_touch`;
  await sql.end();
  return stack;
}

/** A command of the page with the addresses of a stack. */
function onStack(stack: Started, command: string): string {
  return command
    .replaceAll(/(http:\/\/)?(?:localhost|127\.0\.0\.1):3000/g, stack.url)
    .replaceAll(".waybill/", `${stack.dataDir}/`)
    .replaceAll("npx waybill ", `WAYBILL_DATA=${stack.dataDir} npx waybill `)
    .replaceAll("http://127.0.0.1:PORT", environmentOf(stack)["AWS_ENDPOINT_URL_SQS"] ?? "none");
}

/** The command of the page that begins, or goes on, so. */
function find(words: RegExp): string {
  const command = commands.find((one) => words.test(one));
  if (command === undefined) throw new Error(`${PAGE} has no command like ${words}`);
  return command;
}

function shell(script: string, env: Record<string, string> = {}): ChildProcess {
  // Of its own the group, so that what it starts ends with it.
  const child = spawn("bash", ["-ec", script], {
    env: { ...process.env, ...env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  return child;
}

/** Runs the page's curl; answers the work that it made. */
async function submit(
  stack: Started,
  words: RegExp,
): Promise<{ task_id: string; status: string; routing: { reason: string } }> {
  const child = shell(onStack(stack, find(words)));
  const out = await text(child.stdout as NodeJS.ReadableStream);
  children.splice(children.indexOf(child), 1);
  return JSON.parse(out);
}

const finished = async (stack: Started, taskId: string) =>
  await vi.waitUntil(
    async () => {
      const task = (await (await fetch(`${stack.url}/work/${taskId}?wait=20`, { headers: ownerOf(stack) })).json()) as {
        status: string;
      };
      return ["completed", "failed"].includes(task.status) && task;
    },
    { timeout: 60_000, interval: 100 },
  );

const presence = async (stack: Started) => {
  const agent = (await (await fetch(`${stack.url}/agents/research`, { headers: ownerOf(stack) })).json()) as {
    presence: { present: boolean };
  };
  return agent.presence.present;
};

test("the agent in TypeScript: work from before it started waits with the reason, and is done by it", async () => {
  const dir = temporaryDir();
  const stack = await oldStack(dir.path);
  const program = join(folder, "research.ts");
  const example = blocksOf(PAGE).find(({ language }) => language === "ts")?.text ?? "";
  writeFileSync(program, example.replaceAll("../lib/", `${relative(folder, "lib")}/`));
  const exports = commands.slice(0, commands.indexOf(find(/^npx node agents\/research\.ts$/)));

  expect(await presence(stack)).toBe(false);
  const before = await submit(stack, /research\.fetch/);
  expect(before.status).toBe("pending");
  expect(before.routing.reason).toContain("research is passed over: no process of it has been heard of yet");
  shell([...exports.map((line) => onStack(stack, line)), `exec node ${program}`].join("\n"), {
    WAYBILL_AGENT_DATA: folder,
  });

  const done = await finished(stack, before.task_id);
  expect(done).toMatchObject({ status: "completed", error_message: null, to_agent: "research" });
  expect(await presence(stack)).toBe(true);
  const after = await submit(stack, /research\.fetch/);
  expect(after.status).toBe("approved");
  expect(await finished(stack, after.task_id)).toMatchObject({ status: "completed" });
  await stack.stop();
  dir.remove();
}, 240_000);

test.skipIf(found === undefined || python === undefined)(
  "the agent in Python, beside a stack with RabbitMQ",
  async () => {
    const dir = temporaryDir();
    const broker = await found?.();
    const env = { RABBITMQ_URL: broker?.url ?? "" };
    const { prefix } = await findStackBroker(dir.path, env);
    const stack = await oldStack(dir.path, ["--queue", "rabbitmq"], env);
    const key = onStack(stack, find(/keys create python/));
    const start = onStack(stack, find(/python3 agents\/python\/agent\.py/)).replace("PRINTED", prefix);

    shell(`${key}\n${start.replace("python3 ", `exec ${python} `)}`, { ...env, WAYBILL_AGENT_DATA: folder });
    await vi.waitUntil(async () => await presence(stack), { timeout: 60_000, interval: 200 });
    const work = await submit(stack, /research\.digest/);

    expect(await finished(stack, work.task_id)).toMatchObject({
      status: "completed",
      error_message: null,
      to_agent: "research",
    });
    await stack.stop();
    await clearBroker({ url: env.RABBITMQ_URL, prefix });
    await broker?.stop();
    dir.remove();
  },
  240_000,
);
