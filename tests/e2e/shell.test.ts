import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SendMessageCommand } from "@aws-sdk/client-sqs";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { envelope } from "../../lib/protocol/envelope.ts";
import { ORCHESTRATOR, serialiseMessage } from "../../lib/protocol/messages.ts";
import { sqsClient } from "../../lib/runtime/aws/sqs.ts";
import { uuidv7 } from "../../lib/runtime/ids.ts";
import { environmentOf, launch, ownerOf, type Started, startStack, temporaryDir } from "../support/stack/stack.ts";

/** What a shell may hold, all of it wrong for a local stack. */
const NONSENSE = {
  AWS_PROFILE: "no-such-profile",
  AWS_DEFAULT_REGION: "no-where-1",
  AWS_REGION: "no-where-1",
  AWS_ENDPOINT_URL: "http://127.0.0.1:1",
  AWS_ENDPOINT_URL_SQS: "http://127.0.0.1:1",
  AWS_ENDPOINT_URL_SECRETS_MANAGER: "http://127.0.0.1:1",
  AWS_CONFIG_FILE: "/no/where",
  AWS_CA_BUNDLE: "/no/where",
  AWS_MAX_ATTEMPTS: "0",
  AWS_LAMBDA_RUNTIME_API: "127.0.0.1:1",
  AWS_SESSION_TOKEN: "stale",
  DATABASE_SECRET_ARN: "arn:aws:secretsmanager:no-where-1:1:secret:none",
  PGHOST: "/no/where",
  PGPORT: "1",
  PGUSER: "nobody",
  PGPASSWORD: "wrong",
  PGDATABASE: "none",
  PGSSL: "verify-full",
  PGSSLMODE: "verify-full",
  PGTARGETSESSIONATTRS: "standby",
  HTTP_PROXY: "http://127.0.0.1:1",
  http_proxy: "http://127.0.0.1:1",
  https_proxy: "http://127.0.0.1:1",
  ALL_PROXY: "http://127.0.0.1:1",
  NO_PROXY: "example.com",
  NODE_USE_ENV_PROXY: "1",
  NODE_OPTIONS: "--use-env-proxy",
  npm_config_registry: "http://127.0.0.1:1",
};

const dir = temporaryDir();
let stack: Started;

beforeAll(async () => {
  // Its journal cannot be opened.
  mkdirSync(join(dir.path, "agents", "infra.sqlite"), { recursive: true });
  stack = await startStack({ dataDir: dir.path, env: NONSENSE });
}, 90_000);

afterAll(async () => {
  await (stack as Started | undefined)?.stop();
  dir.remove();
});

const submit = async (work: object): Promise<string> => {
  const answer = await fetch(`${stack.url}/work`, {
    method: "POST",
    body: JSON.stringify(work),
    headers: ownerOf(stack),
  });
  const { task_id } = (await answer.json()) as { task_id: string };
  return task_id;
};

test("nothing of the shell leaks into the stack: functions and agents work, and it says what it left out", async () => {
  const task_id = await submit({
    request_text: "say hello",
    work_type: "code.run",
    parameters: { command: "echo", args: ["hello"] },
  });

  const task = await (await fetch(`${stack.url}/work/${task_id}?wait=25`, { headers: ownerOf(stack) })).json();

  expect(task).toMatchObject({ status: "completed", to_agent: "code" });
  const told = /left out +(.*) of your shell/.exec(stack.output())?.[1]?.split(", ");
  expect(told).toEqual(expect.arrayContaining(Object.keys(NONSENSE).filter((name) => !name.startsWith("npm_"))));
}, 60_000);

test("an agent that cannot start says why, each time", async () => {
  const said = /infra ended \(exit code 1\), starts again in \d+ ms:\n(?: {4}.*\n)*? {4}.*unable to open database file/;

  await vi.waitFor(() => expect(stack.output()).toMatch(said), 30_000);
});

test("a locked row holds a result no longer than record-result's own statement timeout", async () => {
  const environment = environmentOf(stack);
  const task_id = await submit({ request_text: "wait", work_type: "research.fetch", to_agent: "research" });
  const sql = postgres(environment["DATABASE_URL"] ?? "", { max: 1 });
  const sqs = sqsClient({
    endpoint: environment["AWS_ENDPOINT_URL_SQS"] ?? "",
    region: "eu-central-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
  });
  const [task] = await vi.waitUntil(async () => {
    const rows = await sql`select request_id, trace_id from tasks where task_id = ${task_id} and attempt = 1`;
    return rows.length > 0 && rows;
  }, 20_000);
  const ids = { messageId: uuidv7(), at: new Date(), traceId: task?.["trace_id"], requestId: task?.["request_id"] };
  const payload = { task_id, attempt: 1, status: "completed" as const };
  const MessageBody = serialiseMessage(envelope("work_result", "research", ORCHESTRATOR, payload, ids));
  const log = () => readFileSync(join(dir.path, "logs", "functions.log"), "utf8");

  await sql.begin(async (holder) => {
    await holder`select from tasks where task_id = ${task_id} for update`;
    await sqs.send(new SendMessageCommand({ QueueUrl: environment["RESULTS_QUEUE_URL"], MessageBody }));
    // The default is 25 s; that of migrate, which ran before it in the same process, is 840.
    const timedOut = () => expect(log()).toMatch(/due to (?:statement|lock) timeout/);
    await vi.waitFor(timedOut, { timeout: 60_000, interval: 200 });
  });
  await sql.end();
}, 90_000);

test("a start with wrong settings names each, and starts nothing", async () => {
  const other = temporaryDir();

  const refused = await launch({ dataDir: other.path, env: { LEASE_SECONDS: "abc", AGENT_QUEUE_PREFIX: "@ @" } });
  const code = await new Promise((resolve) => refused.child.once("close", resolve));

  expect(code).toBe(1);
  expect(refused.output()).toContain('LEASE_SECONDS must be a whole number from 1 to 3600; it is "abc"');
  expect(refused.output()).toContain("unset AGENT_QUEUE_PREFIX");
  expect(existsSync(join(other.path, "logs"))).toBe(false);
  other.remove();
}, 30_000);
