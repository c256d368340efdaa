import fc from "fast-check";
import { afterAll, beforeEach, expect, test } from "vitest";
import { handler as getAgent } from "../../../functions/agents/get-agent.ts";
import { handler as listAgents } from "../../../functions/agents/list-agents.ts";
import { handler as manageAgent } from "../../../functions/agents/manage-agent.ts";
import { handler as reportPresence } from "../../../functions/agents/report-presence.ts";
import { handler as getReport } from "../../../functions/reports/get-report.ts";
import { handler as getHealth } from "../../../functions/system/get-health.ts";
import { handler as notFound } from "../../../functions/system/not-found.ts";
import { handler as decideWork } from "../../../functions/work/decide-work.ts";
import { handler as getLogs } from "../../../functions/work/get-logs.ts";
import { handler as getOutput } from "../../../functions/work/get-output.ts";
import { handler as getWork } from "../../../functions/work/get-work.ts";
import { handler as listWork } from "../../../functions/work/list-work.ts";
import { handler as submitWork } from "../../../functions/work/submit-work.ts";
import { connect } from "../../../lib/runtime/postgres/db.ts";
import { expectConforms } from "../../support/http/conform.ts";
import { eventOf, type Seen, seen } from "../../support/http/http-event.ts";

const db = connect();
beforeEach(async () => {
  await db`truncate tasks cascade`;
});
afterAll(async () => {
  await db.end();
});

type Parts = NonNullable<Parameters<typeof eventOf>[0]>;

/** Whatever is asked: never a fault of ours, and the document has the answer, which for an error is a problem. */
async function ask(handler: unknown, parts: Parts): Promise<Seen> {
  const event = eventOf(parts);
  const answer = seen(await (handler as (event: unknown) => Promise<object>)(event));
  expect(answer.status).toBeLessThan(500);
  expectConforms(event.requestContext.http.method, event.rawPath, answer);
  return answer;
}

const submit = (parts: Parts) => ask(submitWork, { method: "POST", rawPath: "/work", ...parts });
const agents = async () =>
  (await db<{ agentName: string }[]>`select distinct agent_name from agent_definitions`).map(
    ({ agentName }) => agentName,
  );
const stored = async () => (await db<{ n: number }[]>`select count(*)::int as n from tasks`)[0]?.n;

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.string({ maxLength: 30 }),
  fc.constantFrom(
    "",
    "\u0000",
    "\ud800",
    "\udfff",
    "\uffff",
    "\uFEFF",
    "__proto__",
    "constructor",
    "1e400",
    "%zz",
    "null",
  ),
);
const json = fc.oneof(fc.jsonValue({ stringUnit: "binary", maxDepth: 5 }), text, fc.double(), fc.bigInt().map(Number));

const valid = {
  request_text: "do it",
  work_type: "code.run",
  parameters: { command: "echo", deep: [{ a: [1, 2.5, null, true] }] },
  hints: { fast: true },
  to_agent: "code",
  project_id: "0198c5f2-7c1e-7000-8000-0123456789ab",
  created_by: "ada",
  approval: "auto",
  priority: 5,
  not_before: "2026-03-01T12:00:00Z",
  timeout_seconds: 60,
  max_attempts: 3,
  estimated_resources: { cpu: 1 },
};

test("any bytes as a body are refused or stored whole", async () => {
  const body = fc.oneof(
    fc
      .uint8Array({ maxLength: 200 })
      .map((bytes) => ({ body: Buffer.from(bytes).toString("base64"), isBase64Encoded: true })),
    text.map((one) => ({ body: one })),
  );

  await fc.assert(
    fc.asyncProperty(body, async (parts) => void (await submit(parts))),
    { numRuns: 300 },
  );
  expect(await stored()).toBe(0);
});

test("any JSON as a body is refused, and nothing of it is stored", async () => {
  await fc.assert(
    fc.asyncProperty(json, async (value) => void (await submit({ body: JSON.stringify(value) ?? "" }))),
    { numRuns: 500 },
  );

  expect(await stored()).toBe(0);
});

test("a valid body with anything in one of its fields is stored or refused by that field's name", async () => {
  const field = fc.oneof(fc.constantFrom(...Object.keys(valid), "request_id"), text);
  let accepted = 0;

  await fc.assert(
    fc.asyncProperty(field, json, async (name, value) => {
      const changed = Object.fromEntries([...Object.entries(valid).filter(([key]) => key !== name), [name, value]]);
      const answer = await submit({ body: JSON.stringify(changed) });
      if (answer.status === 201) accepted++;
      expect(answer.status === 201 || answer.json.errors.length > 0).toBe(true);
      const unasked = (answer.json.errors ?? []).filter(({ field: at }: { field: string }) =>
        Object.keys(valid).some((key) => key !== name && (at === key || at.startsWith(`${key}.`))),
      );
      expect(unasked.filter(({ field: at }: { field: string }) => at !== "work_type" && at !== "to_agent")).toEqual([]);
    }),
    { numRuns: 500 },
  );

  expect(accepted).toBeGreaterThan(0);
  expect(await stored()).toBe(accepted);
});

test("a valid body that is cut, doubled or has bytes changed is stored or refused", async () => {
  const whole = JSON.stringify(valid);
  const at = fc.nat({ max: whole.length });
  let accepted = 0;

  await fc.assert(
    fc.asyncProperty(at, at, text, async (from, to, inserted) => {
      const body = whole.slice(0, from) + inserted + whole.slice(to);
      if ((await submit({ body })).status === 201) accepted++;
    }),
    { numRuns: 500 },
  );

  expect(await stored()).toBe(accepted);
});

test("any path, query and headers get an answer of the document", async () => {
  const routes = [
    { handler: getWork, path: (id: string) => `/work/${id}` },
    { handler: getLogs, path: (id: string) => `/work/${id}/logs` },
    { handler: getOutput, path: (id: string) => `/work/${id}/output` },
    { handler: decideWork, path: (id: string) => `/work/${id}/approve`, method: "POST" },
    { handler: decideWork, path: (id: string) => `/work/${id}/handover`, method: "POST" },
    { handler: decideWork, path: (id: string) => `/work/${id}/feedback`, method: "POST" },
    { handler: submitWork, path: () => "/route", method: "POST" },
    { handler: getAgent, path: (name: string) => `/agents/${name}` },
    { handler: reportPresence, path: (name: string) => `/agents/${name}/presence`, method: "POST" },
    { handler: listAgents, path: () => "/agents" },
    { handler: listWork, path: () => "/work" },
    { handler: getHealth, path: () => "/health" },
    { handler: getReport, path: (name: string) => `/reports/${name}` },
    { handler: notFound, path: (id: string) => `/nowhere/${id}` },
  ];
  const name = fc.oneof(
    text,
    fc.constantFrom(
      "status",
      "limit",
      "cursor",
      "wait",
      "step",
      "attempt",
      "agent",
      "work_type",
      "project_id",
      "days",
      "task_id",
      "active",
      "capability",
    ),
  );
  const id = fc.oneof(
    text,
    fc.uuid(),
    fc.constantFrom("failed-tasks", "task-timeline", "resource-use", "success-rate"),
  );
  const encode = (one: string) => encodeURIComponent(one.toWellFormed());
  const raw = fc.oneof(
    fc
      .array(fc.tuple(name, text), { maxLength: 4 })
      .map((pairs) => pairs.map(([key, value]) => `${encode(key)}=${encode(value)}`).join("&")),
    fc.string({ maxLength: 30 }),
  );
  const headers = fc.dictionary(
    fc.oneof(text, fc.constantFrom("range", "Idempotency-Key", "traceparent", "content-encoding", "RANGE")),
    fc.oneof(text, fc.constantFrom("bytes=0-1", "bytes=9-", "bytes=-1", "bytes=a", "items=1-2")),
    { maxKeys: 4 },
  );
  const body = fc.oneof(
    text,
    fc.constantFrom('{"by":"ada"}', '{"by":"ada","reason":"x"}', '{"by":"ada","score":1}', '{"request_text":"x"}'),
  );

  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...routes),
      id,
      raw,
      headers,
      body,
      async (route, task, rawQueryString, given, sent) => {
        const { handler, path, method = "GET" } = route;
        const pathParameters = { task_id: task, name: task };
        const parts = { method, pathParameters, rawQueryString, headers: given, body: sent };
        const answer = await ask(handler, { ...parts, rawPath: path(encode(task).replaceAll("%2F", "_") || "_") });
        expect(handler !== notFound || answer.status === 404).toBe(true);
      },
    ),
    { numRuns: 1000 },
  );

  expect(await stored()).toBe(0);
});

/** An object of which any fields are valid and some are anything. */
const around = (good: Record<string, unknown>) =>
  fc
    .tuple(
      fc.subarray(Object.keys(good)),
      fc.dictionary(fc.constantFrom(...Object.keys(good), "other"), json, { maxKeys: 2 }),
    )
    .map(([kept, changed]) => ({ ...Object.fromEntries(kept.map((key) => [key, good[key]])), ...changed }));

test("anything that is said of work in hand is refused, or done as the document says", async () => {
  const { json: work } = await submit({ body: JSON.stringify(valid) });
  const { json: ended } = await submit({ body: JSON.stringify({ ...valid, request_text: "done" }) });
  await db`update tasks set status = 'completed', completed_at = now(), ready_at = null where task_id = ${ended.task_id}`;
  const handover = around({
    by: "ada",
    reason: "not hers",
    to_agent: "infra",
    capabilities: ["x"],
    context: { a: 1 },
    attempt: 0,
  });
  const feedback = around({ by: "ada", score: 0.5, comment: "so so" });
  const seenStatuses = new Set<string>();
  const saying = async (verb: string, task_id: string, said: unknown) => {
    const rawPath = `/work/${task_id}/${verb}`;
    const answer = await ask(decideWork, {
      method: "POST",
      rawPath,
      pathParameters: { task_id },
      body: JSON.stringify(said) ?? "",
    });
    seenStatuses.add(`${verb} ${answer.status}`);
  };

  await fc.assert(
    fc.asyncProperty(fc.oneof(handover, json), fc.oneof(feedback, json), async (passed, judged) => {
      await saying("handover", work.task_id, passed);
      await saying("feedback", ended.task_id, judged);
    }),
    { numRuns: 300 },
  );

  expect([...seenStatuses]).toEqual(
    expect.arrayContaining(["handover 200", "handover 400", "feedback 200", "feedback 400"]),
  );
});

test("anything that is asked of the router is refused or explained, and writes nothing", async () => {
  const { created_by: _, ...asks } = valid;
  let explained = 0;

  await fc.assert(
    fc.asyncProperty(
      fc.oneof(around({ ...asks, hints: { files: ["a.ts"], language: "c", capabilities: ["x"] } }), json),
      async (value) => {
        const answer = await ask(submitWork, { method: "POST", rawPath: "/route", body: JSON.stringify(value) ?? "" });
        if (answer.status === 200) explained++;
      },
    ),
    { numRuns: 300 },
  );

  expect(explained).toBeGreaterThan(0);
  expect(await stored()).toBe(0);
});

test("any hints are taken by the router", async () => {
  const names = ["capabilities", "environment", "language", "files", "parent_task_id", "project"];
  await fc.assert(
    fc.asyncProperty(text, fc.dictionary(fc.constantFrom(...names), json), async (said, hints) => {
      const body = JSON.stringify({ request_text: `do ${said}`, hints });
      const { status } = await ask(submitWork, { method: "POST", rawPath: "/route", body });
      expect([200, 400]).toContain(status);
    }),
    { numRuns: 300 },
  );
});

test("anything that is PUT as an agent is refused, or stored under its name", async () => {
  const definition = {
    name: "fuzz",
    version: "1.0.0",
    description: "what comes",
    capabilities: ["x"],
    triggers: ["do it", { pattern: "a+" }],
    work_types: ["fuzz.*"],
    limits: { concurrency: 1, rate: { count: 1, per_seconds: 1 } },
    cost: { per_task_usd: 1 },
    queue: "https://sqs.eu-central-1.amazonaws.com/123456789012/fuzz",
    presence: "assumed",
    routable: false,
    routing: { files: ["**/*.ts"] },
  };
  const yaml = fc.oneof(
    text,
    fc.tuple(text, text).map(([key, value]) => `name: fuzz\n${key}: ${value}\n`),
    fc.tuple(fc.nat({ max: 40 }), text).map(([at, inserted]) => {
      const whole = "name: fuzz\ntriggers: [&a do it, *a]\nqueue: https://example.org/q\n";
      return whole.slice(0, at) + inserted + whole.slice(at);
    }),
  );
  const sent = fc.oneof(
    fc.oneof(around(definition), json).map((value) => JSON.stringify(value) ?? ""),
    yaml,
  );
  const put = (body: string) =>
    ask(manageAgent, { method: "PUT", rawPath: "/agents/fuzz", pathParameters: { name: "fuzz" }, body });
  const before = await agents();
  let taken = 0;

  await fc.assert(
    fc.asyncProperty(sent, async (body) => {
      const { status, json: answer } = await put(body);
      if (status < 300) taken++;
      expect(status < 300 ? answer.name : answer.code).toMatch(/^(fuzz|invalid_definition|older_version)$/);
    }),
    { numRuns: 500 },
  );

  expect(taken).toBeGreaterThan(0);
  expect((await agents()).filter((name) => !before.includes(name))).toEqual(["fuzz"]);
  await db`delete from agent_definitions where agent_name = 'fuzz'`;
});

test("any Idempotency-Key is taken or refused, and is never a fault of ours", async () => {
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(text, async (key) => {
      const answer = await submit({ body: JSON.stringify(valid), headers: { "idempotency-key": key } });
      if (answer.status === 201) accepted++;
    }),
    { numRuns: 200 },
  );

  expect(await stored()).toBe(accepted);
});
