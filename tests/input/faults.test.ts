import { expect, test } from "vitest";
import { parseMessage } from "../../lib/protocol/messages.ts";
import { chunk, faultsOf, ID, result, status, withPayload } from "../protocol/samples.ts";

test("another version is refused by name, and nothing else about the message is judged", () => {
  expect(faultsOf({ ...status, protocol_version: "2.0", type: "news", extra: 1 })).toEqual([
    'protocol_version is "2.0"; this side speaks "1.0"',
  ]);
  expect(faultsOf({ ...status, protocol_version: 1 })).toEqual(['protocol_version is 1; this side speaks "1.0"']);
  expect(faultsOf({ ...status, protocol_version: null })).toEqual(['protocol_version is null; this side speaks "1.0"']);
});

test("a missing field is named and said to be missing", () => {
  expect(faultsOf({ ...status, protocol_version: undefined })).toEqual([
    'protocol_version is missing; it must be "1.0"',
  ]);
  expect(faultsOf({ ...status, timestamp: undefined })[0]).toMatch(
    /^timestamp is missing; it must be an ISO 8601 time/,
  );
  expect(faultsOf({ ...status, type: undefined })[0]).toMatch(/^type is missing; it must be one of "work_request", /);
  expect(faultsOf({ ...status, payload: undefined })).toEqual(["payload is missing; it must be an object"]);
  expect(faultsOf(withPayload(status, { attempt: undefined }))).toEqual([
    "payload.attempt is missing; it must be a number",
  ]);
});

test("an unknown type is answered with the types that there are", () => {
  expect(faultsOf({ ...status, type: "work_news" })).toEqual([
    'type must be one of "work_request", "work_status", "work_result", "error"',
  ]);
});

test("every unknown field is named, wherever it is", () => {
  const payload = { ...status.payload, exitCode: 0, step: { step_number: 1, action: "a", status: "running", x: 1 } };

  expect(faultsOf({ ...status, payload, a: 1, b: 2 })).toEqual([
    "payload.step.x is not a known field",
    "payload.exitCode is not a known field",
    "a is not a known field",
    "b is not a known field",
  ]);
});

test.each([
  ["payload.attempt must be a number, not a string", withPayload(status, { attempt: "1" })],
  ["payload.attempt must be a whole number", withPayload(status, { attempt: 1.5 })],
  ["payload.attempt must be at least 0", withPayload(status, { attempt: -1 })],
  ["payload.progress must be at most 1", withPayload(status, { progress: 1.1 })],
  ["payload.message must be a string, not null", withPayload(status, { message: null })],
  ["payload.message must have at most 10000 characters", withPayload(status, { message: "a".repeat(10_001) })],
  [
    "payload.step.action must not be empty",
    withPayload(status, { step: { step_number: 1, action: "", status: "running" } }),
  ],
  ["payload.step must be an object, not a list", withPayload(status, { step: [] })],
  ['payload.status must be one of "completed", "failed"', withPayload(result, { status: "done" })],
  ["payload.exit_code must be at most 2147483647", withPayload(result, { exit_code: 2 ** 31 })],
  [
    "payload.external_ai_used must be {model, tokens?, cost?}, or a list of such",
    withPayload(result, { external_ai_used: 1 }),
  ],
  [
    "payload.step.output.text must be base64 with padding, since encoding says so",
    withPayload(status, chunk({ chunk_number: 0, encoding: "base64", text: "QQ" })),
  ],
  ["x_custom_fields must be an object, not a list", { ...status, x_custom_fields: [] }],
  [
    "from_agent must be a lower-case name of letters, digits, - and _, at most 63 characters",
    { ...status, from_agent: "Code!" },
  ],
  ["must be an object, not a list", []],
  ["must be an object, not a number", "7"],
  ["is not JSON: Unexpected end of JSON input", ""],
])("%s", (sentence, given) => {
  expect(faultsOf(given)).toEqual([sentence]);
});

test.each([
  "",
  "0198c5f2",
  `${ID}0`,
  `{${ID}}`,
  `urn:uuid:${ID}`,
  ID.replaceAll("-", ""),
  ID.replace("a", "g"),
  7,
  null,
])("%j is not a UUID", (id) => {
  expect(faultsOf({ ...status, trace_id: id })).toEqual([
    "trace_id must be a UUID, such as 0198c5f2-7c1e-7000-8000-0123456789ab",
  ]);
});

test.each([
  "2026-03-01 12:00:00Z",
  "2026-03-01T12:00:00",
  "2026-02-30T12:00:00Z",
  "2026-03-01T24:00:00Z",
  "2026-03-01T12:00:60Z",
  "2026-03-01T12:00:00+16:00",
  "2026-03-01T12:00:00+0100",
  "2026-03-01T12:00:00.1234567890Z",
  "0000-01-01T00:00:00Z",
  "9999-12-31T23:59:59Z",
  1_772_366_400,
])("%j is not a time that everyone can store", (timestamp) => {
  expect(faultsOf({ ...status, timestamp })[0]).toMatch(/^timestamp must be an ISO 8601 time with a zone/);
});

test("a message with thousands of faults is answered with twenty of them, each short enough for a log line", () => {
  const unknown = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`${i}${" long".repeat(50)}`, i]));
  const faults = faultsOf({ ...status, ...unknown });

  expect(faults).toHaveLength(21);
  expect(faults.at(-1)).toBe("and 2980 more");
  expect(Math.max(...faults.map((fault) => fault.length))).toBeLessThan(250);
  expect(faultsOf({ ...status, "\u0007": 1 })).toEqual(["\\u0007 is not a known field"]);
});

test("a text that is not JSON is not quoted in its fault", () => {
  expect(faultsOf('secret":1}')).toEqual(["is not JSON: Unexpected token 's'"]);
});

const withNumber = (literal: string) =>
  JSON.stringify(withPayload(result, { metrics: { deep: [1, "NUMBER"] } })).replace('"NUMBER"', literal);

test.each([
  "9007199254740993",
  "-9007199254740993",
  "12345678901234567890",
  "100000000000000000001",
  "9007199254740993.0",
  "9007199254740993e0",
  "9007199254740993E+0",
  "90071992547409930e-1",
  "9.007199254740993e15",
  "-900719925474.0993e4",
])("a whole number that would lose digits is refused by its path: %s", (literal) => {
  const parsed = parseMessage(withNumber(literal));

  expect(parsed).toMatchObject({
    ok: false,
    error_code: 5003,
    faults: [
      {
        field: "payload.metrics.deep.1",
        message: "is a whole number that a 64-bit float would change; send it as a string",
      },
    ],
    remains: { from_agent: result.from_agent, task_id: result.payload.task_id },
  });
});

test.each([
  "9007199254740991",
  "9007199254740992",
  "-9007199254740994",
  "100000000000000000000",
  "-0",
  "0.12345678901234567890",
  "1234567890123456.5",
  "1e30",
  "1.2345678901234568e+30",
  "9007199254740992.0",
  "9.007199254740992e15",
  "9007199254740991e0",
  "12345678901234567.5",
  "0e999",
  "1e-400",
  "12345678901234567000",
  "1.0000000000000000000",
  '"9007199254740993"',
])("a number that keeps its digits, or never had them all, is taken: %s", (literal) => {
  expect(parseMessage(withNumber(literal))).toMatchObject({ ok: true });
});
