import { spawnSync } from "node:child_process";
import { afterAll, expect, test, vi } from "vitest";
import { traceOf } from "../../lib/runtime/http/trace.ts";
import { logLines } from "../support/log-lines.ts";

const level = process.env["LOG_LEVEL"];
vi.resetModules();
const { lineOf, log } = await import("../../lib/runtime/log.ts");
// Read with the first line, not when the file is imported.
process.env["LOG_LEVEL"] = "info";

const logged = logLines();
log.debug("nothing of this is written");
process.env["LOG_LEVEL"] = level;
afterAll(() => logged.stop());

/** The one line that this writes. */
function lineBy(write: () => void): Record<string, any> {
  const before = logged.lines().length;
  write();
  const lines = logged.lines().slice(before);
  expect(lines).toHaveLength(1);
  return lines[0] ?? {};
}

test("a line is one JSON object with its time, level, event and fields", () => {
  const line = lineBy(() => log.info("work\nsubmitted", { task_id: "t", text: "a\nb\u2028c" }));

  expect(line).toEqual({
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    level: "info",
    event: "work\nsubmitted",
    task_id: "t",
    text: "a\nb\u2028c",
  });
});

test("bound fields are on every line, and a binding leaves the log it came from alone", () => {
  const bound = log.with({ trace_id: "t" }).with({ operation: "o" });

  expect(lineBy(() => bound.warn("event", { n: 1 }))).toMatchObject({
    level: "warn",
    trace_id: "t",
    operation: "o",
    n: 1,
  });
  expect(lineBy(() => log.info("event"))).not.toHaveProperty("trace_id");
});

test("what is under the level is not written", () => {
  const before = logged.text();

  log.debug("detail");

  expect(logged.text()).toBe(before);
});

test("an error is its name, message, code, stack and cause, and none of its own properties", () => {
  const cause = Object.assign(new TypeError("inner"), { code: "E1" });
  const error = Object.assign(new Error("outer", { cause }), { query: "select s3cret", parameters: ["s3cret"] });

  const line = lineBy(() => log.error("failed", { error }));

  expect(line["error"]).toMatchObject({ name: "Error", message: "outer", cause: { name: "TypeError", code: "E1" } });
  expect(line["error"].stack[0]).toMatch(/^at .*log\.test\.ts/);
  expect(JSON.stringify(line)).not.toContain("s3cret");
});

test.each([
  ["of JSON", () => JSON.parse('{"a": s3cret}') as unknown],
  ["of JSON from its start", () => JSON.parse("s3cret and more that is not JSON") as unknown],
  ["of a database value", () => fail('invalid input syntax for type uuid: "s3cret "and" s3cret"', "22P02")],
])("an error that quotes what it was given (%s) is written without the quotation", (_what, run) => {
  let error: unknown;
  try {
    run();
  } catch (caught) {
    error = caught;
  }

  const line = lineBy(() => log.error("failed", { error }));

  expect(line["error"].message).toContain('"…"');
  expect(JSON.stringify(line)).not.toContain("s3cret");
});

function fail(message: string, code: string): never {
  throw Object.assign(new Error(message), { code });
}

test("what JSON does not have is written somehow, and never throws", () => {
  const cycle: Record<string, unknown> = { name: "c" };
  cycle["self"] = cycle;
  const looped = new Error("looped");
  looped.cause = looped;
  const shared = { x: 1 };

  expect(lineBy(() => log.info("e", { big: 12n, cycle, a: shared, b: shared, none: undefined }))).toMatchObject({
    big: "12",
    cycle: { name: "c", self: "[nested too deep]" },
    a: { x: 1 },
    b: { x: 1 },
  });
  expect(lineBy(() => log.info("e", { error: looped }))["error"]).toMatchObject({ message: "looped" });
  const broken = { toJSON: () => fail("no JSON of me", "") };
  expect(lineBy(() => log.info("e", { broken }))).toMatchObject({ event: "e", unwritable: "no JSON of me" });
});

test("a long text is cut, so that a line stays one that can be kept", () => {
  expect(lineOf({ event: "e", text: "x".repeat(1_000_000) }).length).toBeLessThan(3_000);
});

test("lines go to stderr, whole, so that stdout is what a command answers", () => {
  const script = 'import { log } from "./lib/runtime/log.ts"; log.error("event", { n: 1 }); process.exit(0);';
  const env = { ...process.env, LOG_LEVEL: "info" };
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", script], { env });

  expect(stdout.toString()).toBe("");
  expect(JSON.parse(stderr.toString())).toMatchObject({ level: "error", event: "event", n: 1 });
});

const id = "4bf92f3577b34da6a3ce929d0e0e4736";

test("the trace of a caller's traceparent is kept as a UUID", () => {
  const uuid = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736";

  expect(traceOf(`00-${id}-00f067aa0ba902b7-01`)).toBe(uuid);
  expect(traceOf(` 00-${id.toUpperCase()}-00F067AA0BA902B7-01 `)).toBe(uuid);
});

test.each([
  undefined,
  "",
  id,
  `ff-${id}-00f067aa0ba902b7-01`,
  `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
  `00-${id}-0000000000000000-01`,
  `00-${id}-00f067aa0ba902b7-01,00-${id}-00f067aa0ba902b7-01`,
])("a traceparent that is none (%j) gives a trace of its own each time", (traceparent) => {
  const traces = [traceOf(traceparent), traceOf(traceparent)];

  expect(new Set(traces).size).toBe(2);
  expect(traces.join()).not.toContain("4bf92f35");
});
