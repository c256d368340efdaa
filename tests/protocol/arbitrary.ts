import fc from "fast-check";
import { errorCodes } from "../../lib/protocol/error-codes.ts";
import type { Message } from "../../lib/protocol/messages.ts";

type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** Characters at which encodings go wrong: controls, quotes, astral, what SQS refuses, the edges of the surrogates. */
const awkward = fc.constantFrom(
  ...Array.from('\u0001\u0008\t\n\r\u001f"\\/\u007f\u0085\u2028\ud7ff\ue000\ufffd\ufffe\uffff🙂\u{10ffff}\u{1fffe}'),
);
const character = fc.oneof(awkward, fc.string({ unit: "binary", minLength: 1, maxLength: 1 }));

/** Any text that Postgres can store: well formed, without NUL. */
export const text = (maxLength: number, minLength = 0): fc.Arbitrary<string> =>
  fc
    .string({ unit: character, minLength, maxLength })
    .map((value) => value.replaceAll("\u0000", "0"))
    .filter((value) => Array.from(value).length <= maxLength);

const number = fc
  .oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }))
  .map((n) => (n === 0 ? 0 : n));
// No quote and no backslash in a name: JSON.parse of Node 24.21 (V8 13.6) itself mistakes such names, depending on what it
// has read before. JSON.parse('{"\\\\": 1}') and then JSON.parse('{"\\"": 2}') answers {"\\": 2}.
const key = text(12).filter((name) => name !== "__proto__" && !/["\\]/.test(name));

const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.oneof(text(20), number, fc.boolean(), fc.constant(null)),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

/** An array or object exactly `depth` levels deep. */
export function nested(depth: number): JsonValue {
  let inner: JsonValue = "core";
  for (let level = 0; level < depth; level++) inner = level % 2 === 0 ? { a: inner } : [inner];
  return inner;
}

/** A free object, at most 64 levels deep. */
export const jsonObject = fc.oneof(
  { weight: 4, arbitrary: fc.dictionary(key, value, { maxKeys: 4, noNullPrototype: true }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 63 }).map((depth) => ({ deep: nested(depth) })) },
);

const uuid = fc.oneof(fc.uuid(), fc.constant("00000000-0000-0000-0000-000000000000"));
const name = fc.constantFrom("orchestrator", "infra", "code", "my-agent_2", `a${"z".repeat(62)}`);
const pad = (n: number) => String(n).padStart(2, "0");
const zone = fc.oneof(
  fc.constant("Z"),
  fc.tuple(fc.constantFrom("+", "-"), fc.nat(15), fc.nat(59)).map(([sign, h, m]) => `${sign}${pad(h)}:${pad(m)}`),
);
const timestamp = fc
  .tuple(
    fc.date({ min: new Date("1000-01-01T00:00:00Z"), max: new Date("2999-12-31T23:59:59Z"), noInvalidDate: true }),
    fc.constantFrom("", ".5", ".123", ".123456789"),
    zone,
  )
  .map(([date, fraction, offset]) => date.toISOString().slice(0, 19) + fraction + offset);

const attempt = fc.integer({ min: 0, max: 1_000_000 });
const whole = fc.maxSafeNat();
const some = { requiredKeys: [] as [] };

const chunk = fc.oneof(
  fc.record({ chunk_number: fc.nat(2_000_000_000), encoding: fc.constant("utf8" as const), text: text(50) }),
  fc.record({
    chunk_number: fc.nat(2_000_000_000),
    encoding: fc.constant("base64" as const),
    text: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("base64")),
  }),
);

const step = fc
  .tuple(
    fc.record({
      step_number: fc.integer({ min: 1, max: 1_000_000 }),
      action: text(200, 1),
      status: fc.constantFrom("running" as const, "completed" as const, "failed" as const),
    }),
    fc.record({ summary: text(100), started_at: timestamp, duration_ms: whole, output: chunk }, some),
  )
  .map(([told, more]) => ({ ...told, ...more }));

const aiUse = fc
  .tuple(
    fc.record({ model: text(20, 1) }),
    fc.record({ tokens: fc.option(whole), cost: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })) }, some),
    fc.dictionary(key, value, { maxKeys: 3, noNullPrototype: true }),
  )
  .map(([told, more, extra]) => ({ ...extra, ...told, ...more }))
  .map((use) => (use.cost === 0 ? { ...use, cost: 0 } : use));

const workRequest = fc.record({
  task_id: uuid,
  attempt,
  work_type: text(100, 1),
  request_text: text(100),
  parameters: jsonObject,
  hints: jsonObject,
  lease_seconds: fc.integer({ min: 1, max: 86_400 }),
  timeout_seconds: fc.integer({ min: 1, max: 86_400 }),
});

const start = { start_id: uuid, process: text(200, 1) };

const workStatus = fc
  .tuple(
    fc.record({
      task_id: uuid,
      attempt,
      status: fc.constantFrom("approved" as const, "held" as const, "executing" as const, "cancelled" as const),
    }),
    fc.record({ ...start, step, progress: fc.nat(1_000_000).map((n) => n / 1e6), message: text(100) }, some),
  )
  .map(([told, more]) => ({ ...told, ...more }));

const workResult = fc
  .tuple(
    fc.record({ task_id: uuid, attempt, status: fc.constantFrom("completed" as const, "failed" as const) }),
    fc.record(
      {
        ...start,
        exit_code: fc.option(fc.integer()),
        error_message: fc.option(text(100)),
        retryable: fc.boolean(),
        output: text(100),
        steps: fc.array(step, { maxLength: 3 }),
        metrics: fc.option(jsonObject),
        external_ai_used: fc.option(fc.oneof(aiUse, fc.array(aiUse, { maxLength: 3 }))),
      },
      some,
    ),
  )
  .map(([told, more]) => ({ ...told, ...more }));

const errorReport = fc
  .tuple(
    fc.record({
      error_code: fc.constantFrom(...(Object.keys(errorCodes).map(Number) as (keyof typeof errorCodes)[])),
      error_message: text(100),
    }),
    fc.record({ task_id: uuid, attempt, failed_message_id: text(200) }, some),
  )
  .map(([told, more]) => ({ ...told, ...more }));

const typed = fc.oneof(
  fc.record({ type: fc.constant("work_request" as const), payload: workRequest }),
  fc.record({ type: fc.constant("work_status" as const), payload: workStatus }),
  fc.record({ type: fc.constant("work_result" as const), payload: workResult }),
  fc.record({ type: fc.constant("error" as const), payload: errorReport }),
);

/** Any valid message, in the form in which parsing leaves it: UUIDs in lower case, every default filled in. */
export const message: fc.Arbitrary<Message> = fc
  .tuple(
    fc.record({
      protocol_version: fc.constant("1.0" as const),
      message_id: uuid,
      from_agent: name,
      to_agent: name,
      timestamp,
      trace_id: uuid,
      request_id: uuid,
    }),
    typed,
    fc.record({ x_custom_fields: jsonObject }, some),
  )
  .map(([envelope, body, more]) => ({ ...envelope, ...body, ...more }));

/** A value of the wrong kind for nearly every field, and of the right kind for some. */
export const anything = fc.oneof(
  value,
  text(5),
  uuid,
  timestamp,
  fc.constantFrom(
    -1,
    0.5,
    1e6 + 1,
    2 ** 31,
    2 ** 53,
    "",
    "1.0",
    "work_status",
    "executing",
    "base64",
    "QUJD",
    "not base64",
  ),
  fc.constantFrom("2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "2026-01-01T00:00:00+16:00", "2026-01-01T00:00:00"),
  fc.constantFrom("🙂".repeat(100), "🙂".repeat(101), "🙂".repeat(200), "🙂".repeat(201)),
);
