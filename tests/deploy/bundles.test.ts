import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { KNOWN } from "../support/http/owner.ts";
import { codeFileOf, packageService, readBundle, readTemplate } from "./packaged.ts";

// Where nothing but the bundle can be found: no node_modules above it.
const folder = mkdtempSync(join(tmpdir(), "waybill-bundles-"));
const sizes: Record<string, Record<string, number>> = {};
let names: string[] = [];

beforeAll(async () => {
  await packageService();
  names = Object.values(readTemplate().Resources)
    .filter(({ Type }) => Type === "AWS::Lambda::Function")
    .map(({ Properties }) => String(Properties["FunctionName"]).replace("waybill-dev-", ""));
});

afterAll(() => {
  // oxlint-disable-next-line no-console -- figures for the reader of the run
  console.table(sizes);
  rmSync(folder, { recursive: true, force: true });
});

type Ran = { answers: any[]; loadMs: number; megabytes: number };

/** Unpacks a bundle and calls its handler in a plain Node, with the environment of a function and nothing else. */
function run(name: string, ...events: unknown[]): Ran["answers"] {
  const bundle = join(folder, name);
  for (const [file, bytes] of readBundle(name)) {
    mkdirSync(dirname(join(bundle, file)), { recursive: true });
    writeFileSync(join(bundle, file), bytes);
  }
  const variables = ["DATABASE_URL", "WORK_QUEUE_URL", "RESULTS_QUEUE_URL", "AGENT_QUEUES", "AWS_ENDPOINT_URL_SQS"];
  const secrets = ["SIGNING_SECRET"];
  const credentials = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [resolve("tests/deploy/run-bundle.mjs"), join(bundle, codeFileOf(name))],
    {
      cwd: bundle,
      encoding: "utf8",
      input: JSON.stringify(events),
      env: Object.fromEntries(
        [...variables, ...credentials, ...secrets]
          .map((variable) => [variable, process.env[variable]])
          .concat([["LOG_LEVEL", "error"]]),
      ),
    },
  );
  if (status !== 0) throw new Error(`The bundle of ${name} ended with ${status}:\n${stderr}`);
  const { answers, loadMs, megabytes } = JSON.parse(stdout) as Ran;
  sizes[name] = {
    "zip kB": Math.round(statSync(`.serverless/${name}.zip`).size / 1024),
    "load ms": loadMs,
    "memory MB": megabytes,
  };
  expect(megabytes).toBeLessThan(128);
  return answers;
}

/** A call as API Gateway hands it over (payload 2.0). */
function call(method: string, path: string, more: object = {}) {
  const http = { method, path, protocol: "HTTP/1.1", sourceIp: "127.0.0.1", userAgent: "test" };
  return { version: "2.0", rawPath: path, headers: {}, requestContext: { http, ...KNOWN }, ...more };
}

let taskId = "";
const inPath = (more: object = {}) => ({ pathParameters: { task_id: taskId, ...more } });

test("every function has a bundle of one file and its map; migrate has the migrations too, the gateway its configuration", () => {
  const migrations = readdirSync("migrations")
    .filter((name) => /\.(up|down)\.sql$/.test(name))
    .map((name) => `migrations/${name}`);

  const alone: Record<string, string[]> = {
    migrate: [
      ...readdirSync("agents")
        .filter((name) => name.endsWith(".yaml"))
        .map((name) => `agents/${name}`),
      ...migrations,
    ],
    "llm-route": ["llm.config.yaml"],
    "llm-stream": ["llm.config.yaml"],
  };

  expect(names).toHaveLength(25);
  for (const name of names) {
    const own = [codeFileOf(name), `${codeFileOf(name)}.map`];
    const files = [...own, ...(alone[name] ?? [])];
    expect([...readBundle(name).keys()].toSorted()).toEqual(files.toSorted());
  }
});

test("no bundle has more than 1.5 MB of code", () => {
  const large = names.filter((name) => (readBundle(name).get(codeFileOf(name))?.length ?? 0) > 1_500_000);

  expect(large).toEqual([]);
});

test("the gateway's bundles are ASCII: one character more would have Node keep two bytes for each of theirs", () => {
  for (const name of ["llm-route", "llm-stream"])
    expect(
      readBundle(name)
        .get(codeFileOf(name))
        ?.find((byte) => byte > 127),
    ).toBeUndefined();
});

test("submit-work keeps work, and answers a wrong call with a problem", () => {
  const work = { request_text: "say hello", work_type: "code.run", parameters: {}, approval: "required" };

  const [kept, refused] = run(
    "submit-work",
    call("POST", "/work", { body: JSON.stringify(work) }),
    call("POST", "/work", { body: "{" }),
  );

  expect(kept.statusCode).toBe(201);
  taskId = JSON.parse(kept.body).task_id;
  expect(refused).toMatchObject({ statusCode: 400, headers: { "content-type": "application/problem+json" } });
});

test("the functions that read answer what was kept", () => {
  const [found] = run("get-work", call("GET", `/work/${taskId}`, inPath()));
  const [listed] = run("list-work", call("GET", "/work"));
  const [logs] = run("get-logs", call("GET", `/work/${taskId}/logs`, inPath()));
  const [output] = run("get-output", call("GET", `/work/${taskId}/output`, inPath()));

  expect(JSON.parse(found.body)).toMatchObject({ task_id: taskId, status: "pending" });
  expect(JSON.parse(listed.body).items).toMatchObject([{ task_id: taskId }]);
  expect(logs.statusCode).toBe(200);
  expect(output.statusCode).toBe(200);
});

test("decide-work approves, and dispatch and sweep start what is ready", () => {
  const body = "{}";
  const [approved] = run("decide-work", call("POST", `/work/${taskId}/approve`, { body, ...inPath() }));
  const [dispatched] = run("dispatch", { Records: [] });
  const [swept] = run("sweep", { source: "aws.events" });

  expect(JSON.parse(approved.body).status).toBe("approved");
  expect(dispatched).toEqual({ batchItemFailures: [] });
  expect(swept).toMatchObject({ started: 1 });
});

test("record-result takes a batch", () => {
  expect(run("record-result", { Records: [] })).toEqual([{ batchItemFailures: [] }]);
});

test("agents are stored, found, said to be there and deactivated", () => {
  const path = { pathParameters: { name: "writer" } };
  const body = "name: writer # an agent of a test\ntriggers: [write a poem]\nqueue: https://sqs.example/writer\n";
  const [stored, again] = run("manage-agent", ...[1, 2].map(() => call("PUT", "/agents/writer", { body, ...path })));
  const [seen] = run("report-presence", call("POST", "/agents/writer/presence", { body: "{}", ...path }));
  const [found] = run("get-agent", call("GET", "/agents/writer", path));
  const [listed] = run("list-agents", call("GET", "/agents"));
  const [deleted] = run("manage-agent", call("DELETE", "/agents/writer", path));

  expect([stored.statusCode, again.statusCode, seen.statusCode]).toEqual([201, 200, 200]);
  expect(JSON.parse(found.body)).toMatchObject({ name: "writer", active: true, queue: { status: "ready" } });
  expect(JSON.parse(listed.body).items.map(({ name }: { name: string }) => name)).toContain("writer");
  expect(JSON.parse(deleted.body)).toMatchObject({ name: "writer", active: false });
});

test("get-report, get-health, get-openapi, get-signing-keys and not-found answer", () => {
  const [report] = run(
    "get-report",
    call("GET", "/reports/tasks-by-status", { pathParameters: { name: "tasks-by-status" } }),
  );
  const [health] = run("get-health", call("GET", "/health"));
  const [document] = run("get-openapi", call("GET", "/openapi.json"));
  const [keys] = run("get-signing-keys", call("GET", "/.well-known/jwks.json"));
  const [unknown, wrong] = run("not-found", call("GET", "/nowhere"), call("DELETE", "/work"));

  expect(report.statusCode).toBe(200);
  expect(JSON.parse(health.body)).toMatchObject({ database: { status: "ok" }, queues: { work: { status: "ok" } } });
  expect(JSON.parse(document.body).openapi).toMatch(/^3\.1/);
  expect(JSON.parse(keys.body).keys).toMatchObject([
    { kty: "OKP", crv: "Ed25519", kid: expect.stringMatching(/^ed_/) },
  ]);
  expect([unknown.statusCode, wrong.statusCode]).toEqual([404, 405]);
});

test("keys are given, tell who calls, and let their owner see them", () => {
  const [given, again] = run("give-key", { give: "first" }, { give: "first" });
  const headers = { authorization: `Bearer ${given.key}` };
  const [known] = run("authorize", { headers });
  const requestContext = { http: { method: "GET", path: "/keys" }, authorizer: { lambda: known.context } };
  const [listed] = run("manage-access", call("GET", "/keys", { headers, requestContext }));
  const asked = { ...requestContext, http: { method: "GET", path: "/audit" } };
  const [audited] = run("get-audit", call("GET", "/audit", { headers, requestContext: asked }));

  expect(again).toBeNull();
  expect(known).toMatchObject({ isAuthorized: true, context: { name: "owner", role: "owner" } });
  expect(JSON.parse(listed.body).items).toMatchObject([{ name: "first-owner", prefix: given.key.slice(0, 15) }]);
  expect(audited.statusCode).toBe(200);
});

test("migrate finds the migrations beside itself", () => {
  const [printed] = run("migrate", { command: "sql" });

  expect(printed).toMatchObject({ command: "sql", sql: expect.stringContaining("create table if not exists tasks") });
});

test("the gateway lists its models, at once and as a stream", () => {
  const [answered] = run("llm-route", call("GET", "/llm/v1/models"));
  const [streamed] = run("llm-stream", call("GET", "/llm/v1/models"));

  for (const answer of [answered, streamed]) {
    expect(answer.statusCode).toBe(200);
    expect(JSON.parse(answer.body).object).toBe("list");
  }
});

test("every bundle was called", () => {
  expect(Object.keys(sizes).toSorted()).toEqual(names.toSorted());
});
