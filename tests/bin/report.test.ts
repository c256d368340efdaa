import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findReport, REPORT_NAMES } from "../../lib/reports/all.ts";
import { connect } from "../../lib/runtime/postgres/db.ts";
import { freePort } from "../../localstack/parts/ports.ts";
import { buildTask } from "../support/database/build.ts";
import { run } from "./run.ts";

const db = connect();
let failed = "";
beforeAll(async () => {
  failed = await buildTask(db, { status: "failed", error_message: "no disk" });
  await buildTask(db, { status: "failed", error_message: "no net" });
});
afterAll(async () => {
  await db.end();
});

test("without a name the reports are listed with their parameters, and no database is needed", async () => {
  const { code, out } = await run("report", [], { DATABASE_URL: "postgres://127.0.0.1:1/none" });

  expect(code).toBe(0);
  for (const name of REPORT_NAMES) expect(out).toContain(`\n${name}\n`);
  expect(out).toContain("--days  how many days back, each of 24 hours (1 to 365, default 7)");
});

test("a report is a table for people", async () => {
  const { code, out, err } = await run("report", ["failed-tasks", "--days", "2", "--limit", "1"]);

  expect([code, err]).toEqual([0, ""]);
  expect(out).toContain("days 2, limit 1");
  expect(out).toMatch(/task_id +failed_at +work_type/);
  expect(out).toContain("no net");
  expect(out).not.toContain("no disk");
  expect(out).toContain("There are more rows: raise --limit.");
});

test("--json prints what the HTTP API answers, and nothing else on stdout", async () => {
  const { code, out } = await run("report", ["task-timeline", "--task_id", failed, "--json"], { LOG_LEVEL: "info" });

  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({
    report: "task-timeline",
    parameters: { task_id: failed },
    rows: { length: 6 },
    next_cursor: null,
  });
});

test("a report without rows says so", async () => {
  const { code, out } = await run("report", ["ai-cost-by-model"]);

  expect(code).toBe(0);
  expect(out).toContain("No rows.");
});

test.each([
  [["nothing"], "Reports are: failed-tasks"],
  [["failed-tasks", "--days", "0"], "days must be a whole number from 1 to 365"],
  [["tasks-by-status", "--days", "7"], "This report takes no parameters"],
  [["failed-tasks", "--since", "monday"], "Unknown option '--since'"],
  [["failed-tasks", "resource-use"], "One report at a time"],
  [["--days", "7"], "Name the report first"],
  [["task-timeline"], "task_id is missing"],
])("%j ends with 2 and says what is wrong, and the usage", async (args, message) => {
  const { code, out, err } = await run("report", args);

  expect([code, out]).toEqual([2, ""]);
  expect(err).toContain(message);
  expect(err).toContain("\n\nUsage: npm run report");
  expect(err).not.toContain("    at ");
});

test("what is not there ends with 1 and the message alone", async () => {
  const { code, out, err } = await run("report", [
    "task-timeline",
    "--task-id",
    "0198c5f2-7c1e-7000-8000-0123456789ab",
  ]);

  expect([code, out]).toEqual([1, ""]);
  expect(err).toContain("No work has the task_id");
  expect(err).not.toContain("Usage");
  expect(err).not.toContain("    at ");
});

test("a database that is away or not migrated is named, with what to do, and never its password", async () => {
  const port = await freePort();
  const away = await run("report", ["failed-tasks"], { DATABASE_URL: `postgres://u:hush@127.0.0.1:${port}/none` });
  expect(away.code).toBe(1);
  expect(away.err).toContain(
    `The database at 127.0.0.1:${port}/none does not answer. Start the local stack (npm start)`,
  );
  expect(away.err).not.toContain("hush");

  const empty = await run("report", ["failed-tasks"], { DATABASE_URL: process.env["WAYBILL_TEST_POSTGRES"] });
  expect(empty.code).toBe(1);
  expect(empty.err).toContain("Run: npm run migrate");
});

test("without DATABASE_URL it is the database of the stack that runs here, wherever that listens", async () => {
  const folder = mkdtempSync(join(tmpdir(), "waybill-report-"));
  const environment = { DATABASE_URL: process.env["DATABASE_URL"] };
  mkdirSync(join(folder, ".waybill"));
  writeFileSync(
    join(folder, ".waybill", "running.json"),
    JSON.stringify({ pid: 1, url: "http://127.0.0.1:1", environment }),
  );

  const { code, out, err } = await run("report", ["failed-tasks", "--json"], { DATABASE_URL: undefined }, folder);
  rmSync(folder, { recursive: true });

  expect([code, err]).toEqual([0, ""]);
  expect(JSON.parse(out).rows).toHaveLength(2);
});

test("docs/reports.md has every report, and its examples are ones that work", () => {
  const text = readFileSync("docs/reports.md", "utf8");
  const commands = [...text.matchAll(/npm run report -- ([a-z-]+)([^`\n]*)/g)];
  const calls = [...text.matchAll(/GET \/reports\/([a-z-]+)(?:\?(\S*[^\s`]))?/g)];

  for (const name of REPORT_NAMES) {
    expect(commands.map(([, named]) => named)).toContain(name);
    expect(calls.map(([, named]) => named)).toContain(name);
  }
  for (const [, name = "", rest = ""] of commands) {
    const given = [...rest.matchAll(/--([a-z-]+) (\S+)/g)].map(([, option = "", value]) => [
      option.replaceAll("-", "_"),
      value,
    ]);
    expect(findReport(name).parameters.safeParse(Object.fromEntries(given))).toMatchObject({ success: true });
  }
  for (const [, name = "", query] of calls) {
    const given = Object.fromEntries(new URLSearchParams(query));
    expect([name, findReport(name).parameters.safeParse(given)]).toMatchObject([name, { success: true }]);
  }
});
