import { afterAll, beforeEach, expect, test } from "vitest";
import { handler } from "../../functions/reports/get-report.ts";
import { REPORT_NAMES } from "../../lib/reports/all.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { buildStep, buildTask } from "../support/database/build.ts";
import { buildDecision } from "../support/database/routing.ts";
import { document } from "../support/http/conform.ts";
import { call } from "../support/http/events.ts";
import { buildLlmCall } from "../support/llm/calls.ts";

const db = connect();
beforeEach(async () => {
  await db`truncate tasks cascade`;
  await db`truncate router_performance_metrics`;
});
afterAll(async () => {
  await db.end();
});

const get = (name: string, query = "") => call(handler, `/reports/${name}${query}`, { params: { name } });

// `call` compares each answer with the OpenAPI document.
test("every report answers with and without rows", async () => {
  for (const name of REPORT_NAMES) {
    if (name === "task-timeline") continue;
    expect(await get(name)).toMatchObject({ status: 200, json: { report: name, truncated: false } });
  }
  const failed = await buildTask(db, {
    status: "failed",
    actual_resources: { cpu: 1 },
    external_ai_used: [{ model: "m", cost: 1 }],
  });
  await buildStep(db, failed, { status: "failed", output_summary: "no" });
  await buildLlmCall(db);
  for (let piece = 0; piece < 5; piece++) await buildDecision(db, { selected_agent: "infra", quality: 1 });
  await buildDecision(db, { quality: 0.5, alternatives: ["infra"] });

  for (const name of REPORT_NAMES) {
    const { status, json } = await get(name, name === "task-timeline" ? `?task_id=${failed}` : "");
    expect([name, status]).toEqual([name, 200]);
    expect(json.rows.length).toBeGreaterThan(0);
  }
});

test("an answer says by which parameters it was made, and whether it is cut", async () => {
  await buildTask(db, { status: "failed" });
  await buildTask(db, { status: "failed" });

  const cut = await get("failed-tasks", "?limit=1&days=3");
  expect(cut.json).toMatchObject({ parameters: { days: 3, limit: 1 }, truncated: true, rows: { length: 1 } });
  const whole = await get("failed-tasks", "?limit=2");
  expect(whole.json).toMatchObject({ parameters: { days: 7, limit: 2 }, truncated: false, rows: { length: 2 } });
});

test.each(["nothing", "constructor", "FAILED-TASKS", "failed-tasks%2F"])(
  "the report %s is unknown, and the answer lists those that are",
  async (name) => {
    const { status, json } = await get(name);

    expect([status, json.code]).toEqual([404, "unknown_report"]);
    for (const known of REPORT_NAMES) expect(json.detail).toContain(known);
  },
);

test.each([
  ["failed-tasks", "?days=0", "days"],
  ["failed-tasks", "?days=366", "days"],
  ["failed-tasks", "?days=1.5", "days"],
  ["failed-tasks", "?days=-1.5", "days"],
  ["failed-tasks", "?days=seven", "days"],
  ["failed-tasks", "?days=0x5", "days"],
  ["failed-tasks", "?days=1e1", "days"],
  ["failed-tasks", "?days=1.0", "days"],
  ["failed-tasks", "?days=+5", "days"],
  ["failed-tasks", "?limit=99999999999999999999", "limit"],
  ["failed-tasks", "?days=", "days"],
  ["failed-tasks", "?days=1&days=2", "days"],
  ["failed-tasks", "?limit=501", "limit"],
  ["failed-tasks", "?since=yesterday", "since"],
  ["failed-tasks", "?task_id=0198c5f2-7c1e-7000-8000-0123456789ab", "task_id"],
  ["tasks-by-status", "?days=7", "days"],
  ["agent-metrics", "?limit=7", "limit"],
  ["task-timeline", "", "task_id"],
  ["task-timeline", "?task_id=17", "task_id"],
  ["success-rate", "?time_zone=Mars", "time_zone"],
  ["success-rate", "?time_zone=%2B02:00", "time_zone"],
  ["success-rate", "?time_zone=%00", "time_zone"],
  ["success-rate", "?time_zone=EST5EDT%2Bfoo", "time_zone"],
  ["success-rate", "?time_zone=UTC-25", "time_zone"],
  ["success-rate", "?time_zone=Foo3", "time_zone"],
  ["success-rate", "?time_zone=Etc/Unknown", "time_zone"],
])("%s%s is refused, naming %s", async (name, query, field) => {
  const { status, json } = await get(name, query);

  expect([status, json.code]).toEqual([400, "invalid_input"]);
  expect(json.errors.map((error: { field: string }) => error.field)).toEqual([field]);
});

test("the timeline of unknown work is 404", async () => {
  const { status, json } = await get("task-timeline", "?task_id=0198c5f2-7c1e-7000-8000-0123456789ab");

  expect([status, json.code]).toEqual([404, "not_found"]);
});

test("the largest answers fit into what a function can answer", async () => {
  const text = "\u0001".repeat(10_000);
  const most = {
    request_text: text,
    error_message: text,
    actual_resources: { a: text.slice(0, 600) },
    estimated_resources: { a: text.slice(0, 600) },
  };
  const uses = Array.from({ length: 30 }, (_, at) => ({ model: `${at}${text}`, cost: 1 }));
  const first = await buildTask(db, { status: "failed", ...most, external_ai_used: uses });
  await buildStep(db, first, { status: "failed", action: text.slice(0, 200), output_summary: text.slice(0, 500) });
  await db`create temp table copies as select tasks.* from tasks, generate_series(1, 600)`;
  await db`update copies set task_id = gen_random_uuid(), request_id = gen_random_uuid()`;
  await db`insert into tasks select * from copies`;
  await db`
    insert into execution_logs (log_id, task_id, attempt, step_number, agent_type, action, status, output_summary, timestamp)
    select gen_random_uuid(), ${first}, 1, step, repeat(chr(1), 63), repeat(chr(1), 200), 'failed', step || repeat(chr(1), 495), now()
    from generate_series(2, 1200) as step
  `;

  for (const name of REPORT_NAMES.filter(
    // Those of the gateway and of the router hold only names that are bounded where they come in.
    (each) =>
      !["tasks-by-status", "agent-metrics", "success-rate"].includes(each) &&
      !/^llm|^rout|performance|altern/.test(each),
  )) {
    const query = name === "task-timeline" ? `?task_id=${first}&limit=1000` : "?limit=500";
    const { status, json } = await get(name, query);
    expect([name, status]).toEqual([name, 200]);
    expect(json.rows.length).toBeGreaterThan(29);
  }
});

test("the list of reports tells the parameters of each", async () => {
  const { status, json } = await call(handler, "/reports");

  expect(status).toBe(200);
  expect(json.reports.map(({ name }: { name: string }) => name)).toEqual(REPORT_NAMES);
  expect(json.reports[0]).toMatchObject({
    name: "failed-tasks",
    parameters: { properties: { days: { type: "integer", minimum: 1, maximum: 365, default: 7 } } },
  });
});

test("the document has the names of the reports and the parameters of each", () => {
  expect(document.paths["/reports/{name}"]?.["get"]).toMatchObject({
    parameters: [
      { name: "name", in: "path", required: true, schema: { type: "string", enum: REPORT_NAMES } },
      { name: "days", in: "query", description: expect.stringContaining("success-rate") },
      { name: "limit", in: "query" },
      { name: "task_id", in: "query", description: "required by task-timeline, of it alone" },
      { name: "cursor", in: "query", description: "next_cursor of the page before. Of task-timeline" },
      { name: "time_zone", in: "query" },
    ],
  });
  expect(document.components.schemas).toHaveProperty("AiCostByModelReport");
});
