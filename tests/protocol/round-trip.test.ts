import fc from "fast-check";
import { expect, test } from "vitest";
import { findUnstorable, jsonDepth, parseJson, stringifyForQueue } from "../../lib/input/json.ts";
import { parseMessage, serialiseMessage } from "../../lib/protocol/messages.ts";
import { anything, message, nested } from "./arbitrary.ts";

/** As SQS's API reference has it. */
const TAKEN_BY_SQS = /^[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u;

test("a message that is written and read is the message, and SQS takes it", () => {
  fc.assert(
    fc.property(message, (given) => {
      const body = serialiseMessage(given);

      expect(body).toMatch(TAKEN_BY_SQS);
      expect(parseMessage(body)).toEqual({ ok: true, message: given, raw: JSON.parse(body) });
      expect(parseMessage(`\n ${body}\r\n`)).toEqual({ ok: true, message: given, raw: JSON.parse(body) });
    }),
    { numRuns: 1000 },
  );
});

test("a character past the first plane takes its four bytes and no more", () => {
  expect(stringifyForQueue("😀")).toBe('"😀"');
});

test("reading never throws, whatever the text", () => {
  const halves = fc.string({
    unit: fc.constantFrom("{", "[", '"', "\\", "}", "]", ":", ",", "\ud83d", "\u0000", "1", "a"),
  });
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary" }), halves, fc.json()), (text) => {
      const parsed = parseMessage(text);

      expect(parsed).toMatchObject({ ok: false, error_code: 5003 });
      expect(findUnstorable(parsed)).toBeUndefined();
    }),
    { numRuns: 2000 },
  );
});

test("a message with one field changed is read, or refused with faults that can be sent and logged", () => {
  fc.assert(
    fc.property(message, fc.nat(), anything, (given, at, wrong) => {
      const parsed = parseMessage(JSON.stringify(changed(given, at, wrong)));
      const again = parsed.ok ? { ...parseMessage(serialiseMessage(parsed.message)), raw: parsed.raw } : parsed;
      const sentences = parsed.ok ? [] : parsed.faults.map((fault) => fault.message);

      expect(again).toEqual(parsed);
      expect(sentences.length > 0).toBe(!parsed.ok);
      expect(sentences.filter((sentence) => !/^(must|is|has) /.test(sentence))).toEqual([]);
      expect(findUnstorable(parsed)).toBeUndefined();
    }),
    { numRuns: 2000 },
  );
});

/** The message with the value at one of its paths replaced. */
function changed(given: object, at: number, wrong: unknown): unknown {
  const copy = structuredClone(given) as Record<string, unknown>;
  const payload = copy["payload"] as Record<string, unknown>;
  const places = [...Object.keys(copy).map((key) => [copy, key]), ...Object.keys(payload).map((key) => [payload, key])];
  const [owner, key] = places[at % places.length] as [Record<string, unknown>, string];
  owner[key] = wrong;
  return copy;
}

test("a cut message is refused, wherever it is cut", () => {
  fc.assert(
    fc.property(message, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (given, where) => {
      const body = serialiseMessage(given);

      expect(parseMessage(body.slice(0, Math.floor(body.length * where))).ok).toBe(false);
    }),
  );
});

test("the scan finds the depth that walking the parsed value finds", () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.jsonValue().map(stringifyForQueue), message.map(serialiseMessage)), (text) => {
      expect(jsonDepth(text)).toBe(depthOf(JSON.parse(text)));
    }),
    { numRuns: 1000 },
  );
});

function depthOf(value: unknown): number {
  return typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;
}

test("brackets within strings, and after escaped quotes, are not depth", () => {
  expect(jsonDepth('{"a[[[":"\\"[{\\\\"}')).toBe(1);
  expect(jsonDepth('["\\\\",["[\\u005b"]]')).toBe(2);
});

test("depth is refused before anything is parsed, at any size", () => {
  const million = "[".repeat(1_000_000);

  expect(parseJson(million, 64)).toMatchObject({ ok: false, fault: { code: "too_deep" } });
  expect(parseJson(JSON.stringify(nested(64)), 64).ok).toBe(true);
  expect(parseJson(JSON.stringify(nested(65)), 64)).toMatchObject({ fault: { code: "too_deep", field: "" } });
});
