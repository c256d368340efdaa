import { expect, test } from "vitest";
import { MAX_MESSAGE_BYTES, type Message, parseMessage, serialiseMessage } from "../../lib/protocol/messages.ts";
import { nested } from "./arbitrary.ts";
import { chunk, faultsOf, ID, result, status, withPayload } from "./samples.ts";

test("UUIDs in upper case are taken, and kept in lower case", () => {
  const parsed = parseMessage(JSON.stringify({ ...status, request_id: ID.toUpperCase() }));

  expect(parsed).toMatchObject({ ok: true, message: { request_id: ID } });
});

test.each([
  ["a NUL character", '"\\u0000"', /^payload\.message has a NUL character/],
  ["half of a surrogate pair", '"\\ud83d"', /^payload\.message has half of a surrogate pair/],
])("%s is refused, and its sender is still known", (_, text, sentence) => {
  const body = JSON.stringify(withPayload(status, { message: "?" })).replace('"?"', text);

  expect(faultsOf(body)[0]).toMatch(sentence);
  expect(parseMessage(body)).toMatchObject({ remains: { from_agent: "code", request_id: ID, task_id: ID } });
});

test.each(["__proto__", "a\\u0000", "\\udc00"])("the key %s is refused in a free object", (key) => {
  const body = JSON.stringify({ ...status, x_custom_fields: {} }).replace("{}", `{"deep":[{"${key}":1}]}`);

  expect(faultsOf(body)).toHaveLength(1);
  expect(faultsOf(body)[0]).toMatch(/^x_custom_fields\.deep\.0\./);
  expect(({} as Record<string, unknown>)["1"]).toBeUndefined();
});

test("a number too large for a float is refused instead of becoming null", () => {
  const body = JSON.stringify({ ...status, x_custom_fields: { n: 0 } }).replace('"n":0', '"n":1e400');

  expect(faultsOf(body)).toEqual(["x_custom_fields.n is a number too large for a 64-bit float; send it as a string"]);
});

test("a message of exactly 1 MiB is read and written, one byte more is neither", () => {
  const room = MAX_MESSAGE_BYTES - serialiseMessage(withOutput("")).length;
  const full = withOutput(`é${"a".repeat(room - 2)}`);
  const over = withOutput(`é${"a".repeat(room - 1)}`);

  expect(Buffer.byteLength(serialiseMessage(full))).toBe(MAX_MESSAGE_BYTES);
  expect(parseMessage(serialiseMessage(full))).toMatchObject({ ok: true, message: full });
  expect(faultsOf(over)).toEqual(["has 1048577 bytes; at most 1048576 are taken"]);
  expect(() => serialiseMessage(over)).toThrow(/of type work_result is not sent: has 1048577 bytes/);
});

function withOutput(output: string): Message {
  return { ...result, payload: { ...result.payload, output } };
}

test("free objects are 64 levels deep at most, read and written", () => {
  const deep = { ...status, x_custom_fields: nested(65) } as Message;
  const tooDeep = { ...status, x_custom_fields: { a: nested(66) } } as Message;

  expect(parseMessage(serialiseMessage(deep))).toMatchObject({ ok: true, message: deep });
  expect(faultsOf(tooDeep)).toEqual(["is nested 68 levels deep; at most 66 are taken"]);
  expect(() => serialiseMessage(tooDeep)).toThrow(/is nested 68 levels deep/);
});

test("a message that is nested too deep is still answered to its sender", () => {
  const body = JSON.stringify({ ...status, x_custom_fields: 0 }).replace(
    /0}$/,
    `${"[".repeat(9000)}${"]".repeat(9000)}}`,
  );

  expect(parseMessage(body)).toMatchObject({ ok: false, remains: { from_agent: "code", trace_id: ID, task_id: ID } });
});

test("what remains of a broken message is only what is sound", () => {
  const parsed = parseMessage(
    JSON.stringify({
      ...status,
      from_agent: "../x",
      trace_id: "?",
      message_id: ID.toUpperCase(),
      payload: { task_id: 7 },
    }),
  );

  expect(parsed).toMatchObject({ ok: false, error_code: 5003 });
  expect(parsed.ok ? undefined : parsed.remains).toEqual({ to_agent: "orchestrator", message_id: ID, request_id: ID });
});

test.each(["", "null", "[]", '"from_agent"', '{"payload":null}', '{"from_agent":"code"'])(
  "nothing remains of %s",
  (body) => {
    expect(parseMessage(body)).toMatchObject({ ok: false, remains: {} });
  },
);

test("a piece of output without an encoding is utf8", () => {
  const parsed = parseMessage(JSON.stringify(withPayload(status, chunk({ chunk_number: 0, text: "a" }))));

  expect(parsed).toMatchObject({ message: { payload: { step: { output: { encoding: "utf8" } } } } });
});

test("progress is kept to six digits, for Postgres refuses a smaller one", () => {
  const parsed = parseMessage(JSON.stringify(withPayload(status, { progress: 1e-50 })));

  expect(parsed).toMatchObject({ ok: true, message: { payload: { progress: 0 } } });
});

test("lengths count characters: an emoji is one", () => {
  expect(faultsOf(withPayload(status, { message: "🙂".repeat(10_000) }))).toEqual([]);
  expect(faultsOf(withPayload(status, { message: "🙂".repeat(10_001) }))).toEqual([
    "payload.message must have at most 10000 characters",
  ]);
});

test.each([
  ["an unknown field", { ...status, extra: 1 }, "extra is not a known field"],
  ["a NUL", withPayload(status, { message: "a\u0000" }), "payload.message has a NUL"],
  [
    "a __proto__ key",
    { ...status, x_custom_fields: JSON.parse('{"__proto__":1}') },
    "x_custom_fields.__proto__ is a key",
  ],
  ["a NaN", { ...status, x_custom_fields: { n: Number.NaN } }, "x_custom_fields.n is a number too large"],
  [
    "a Date",
    { ...status, x_custom_fields: { at: new Date(0) } },
    "x_custom_fields.at is a Date, which JSON does not have",
  ],
  ["a hole in a list", { ...status, x_custom_fields: { l: [undefined] } }, "x_custom_fields.l.0 is undefined"],
  ["a function", { ...status, x_custom_fields: { f: () => 1 } }, "x_custom_fields.f is a function"],
])("%s is not written, and the error names the place", (_, given, reason) => {
  expect(() => serialiseMessage(given as Message)).toThrow(RangeError);
  expect(() => serialiseMessage(given as Message)).toThrow(reason);
  expect(() => serialiseMessage(given as Message)).toThrow(`message ${ID} of type work_status is not sent`);
});

test("a value that refers to itself, or a bigint, is not written", () => {
  const loop: Record<string, unknown> = {};
  loop["again"] = loop;

  expect(() => serialiseMessage({ ...status, x_custom_fields: loop as never })).toThrow(/circular/);
  expect(() => serialiseMessage({ ...status, x_custom_fields: { n: 1n } as never })).toThrow(/BigInt/);
});
