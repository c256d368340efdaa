import fc from "fast-check";
import { expect, test } from "vitest";
import { CHUNK_BYTES, cutLength, encodeChunk } from "../../lib/agent-kit/chunks.ts";
import { recordSteps } from "../../lib/agent-kit/steps.ts";
import { clip, clipStart, storable } from "../../lib/agent-kit/text.ts";
import { findUnstorable, stringifyForQueue } from "../../lib/input/json.ts";
import { MAX_MESSAGE_BYTES, OutputChunk, Step } from "../../lib/protocol/messages.ts";

const anyPiece = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.string({ unit: "grapheme", maxLength: 300 }),
  fc.constantFrom("\uFEFF", "\uFFFE\uFFFF", "\u0000", "\r\n", "\u001b[31m"),
);

test("any bytes come back from their chunk as they went in, and the chunk follows the protocol", () => {
  fc.assert(
    fc.property(anyPiece, (piece) => {
      const bytes = Buffer.from(piece as Uint8Array);

      const chunk = OutputChunk.parse({ chunk_number: 0, ...encodeChunk(bytes) });

      expect(decodeChunk(chunk).equals(bytes)).toBe(true);
      expect(findUnstorable(chunk)).toBeUndefined();
    }),
    { numRuns: 1000 },
  );
});

test("whatever is written to a step, in whatever pieces, is told in chunks that join to the same bytes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyPiece, { maxLength: 20 }), async (pieces) => {
      const told: Step[] = [];
      const steps = recordSteps((step) => told.push(Step.parse(step)));

      await steps.step("write", ({ write }) => pieces.forEach(write));

      expect(joined(told)).toEqual(Buffer.concat(pieces.map((piece) => Buffer.from(piece as Uint8Array))));
      expect(told.map(({ status }) => status)).toEqual([...told.slice(1).map(() => "running"), "completed"]);
    }),
    { numRuns: 300 },
  );
});

test.each([
  ["text of every length of character", "aü€😀"],
  ["nothing but control characters", "\u0001"],
  ["nothing but NUL", "\u0000"],
  ["nothing but emoji", "😀"],
  ["bytes that are never UTF-8", Buffer.from([0xff, 0xfe, 0x80])],
])("a megabyte of %s fits the queue in every chunk", async (_what, unit) => {
  const bytes = Buffer.alloc(1_000_000, unit);
  const told: Step[] = [];

  await recordSteps((step) => told.push(Step.parse(step))).step("write", ({ write }) => write(bytes));

  expect(joined(told).equals(bytes)).toBe(true);
  const chunks = told.flatMap(({ output }) => output ?? []);
  expect(chunks.map((chunk) => chunk.chunk_number)).toEqual(chunks.map((_, index) => index));
  for (const step of told) {
    expect(Buffer.byteLength(stringifyForQueue(step))).toBeLessThan(MAX_MESSAGE_BYTES - 10_000);
  }
});

test("a cut never parts a character, and holds back at most three bytes", () => {
  const text = fc.string({ unit: "binary", minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(text, fc.nat(60), (value, max) => {
      const bytes = Buffer.from(value.toWellFormed());

      const length = cutLength(bytes, max);

      expect(Buffer.from(bytes.subarray(0, length).toString()).equals(bytes.subarray(0, length))).toBe(true);
      expect(Math.min(bytes.length, max) - length).toBeLessThanOrEqual(3);
    }),
    { numRuns: 1000 },
  );
});

test("output that never makes a whole character is sent all the same", () => {
  expect(cutLength(Buffer.alloc(CHUNK_BYTES + 5, 0x80), CHUNK_BYTES)).toBe(CHUNK_BYTES);
});

test("a clipped text is storable, short enough, and whole where it was short", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 40 }), fc.integer({ min: 2, max: 30 }), (text, max) => {
      for (const clipped of [clip(text, max), clipStart(text, max)]) {
        expect(clipped.length).toBeLessThanOrEqual(max);
        expect(findUnstorable(clipped)).toBeUndefined();
      }
      const short = text.slice(0, max).toWellFormed();
      expect([clip(short, max), clipStart(short, max)]).toEqual([storable(short), storable(short)]);
    }),
    { numRuns: 1000 },
  );
  expect(clip("abc😀", 4)).toBe("abc…");
  expect(clipStart("😀abc", 4)).toBe("…abc");
});

test("a step says its own summary, else the head of its output, else why it failed", async () => {
  const told: Step[] = [];
  const steps = recordSteps((step) => told.push(step));
  const ends = () => told.filter(({ status }) => status !== "running").map(({ status, summary }) => [status, summary]);

  await steps.step("own", ({ write, summary }) => {
    write("output");
    summary(`${"x".repeat(499)}😀`);
  });
  await steps.step("head", ({ write }) => write("line\n".repeat(200)));
  await steps.step("quiet", () => {});
  await steps.step("said to fail", ({ fail }) => fail("no good"));
  await expect(steps.step("throws", () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");

  expect(ends()).toEqual([
    ["completed", `${"x".repeat(499)}…`],
    ["completed", `${"line\n".repeat(200).slice(0, 499)}…`],
    ["completed", undefined],
    ["failed", "no good"],
    ["failed", "broken"],
  ]);
  expect(told.map((step) => step.step_number)).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
});

test("steps that are open when the work ends are told as failed, and what is written to them later is not told", async () => {
  const told: Step[] = [];
  const steps = recordSteps((step) => told.push(step));
  let write = (_: string) => {};
  void steps.step("open", (handle) => {
    write = handle.write;
    return new Promise(() => {});
  });

  write("before");
  steps.close("cancelled");
  write("after");

  expect(told.at(-1)).toMatchObject({ status: "failed", summary: "cancelled", output: { text: "before" } });
  expect(told.length).toBe(2);
  await expect(steps.step("late", () => {})).rejects.toThrow("after the end");
});

function joined(told: Step[]): Buffer {
  return Buffer.concat(told.flatMap(({ output }) => (output === undefined ? [] : [decodeChunk(output)])));
}

/** The bytes that a chunk stands for. */
function decodeChunk({ encoding, text }: ReturnType<typeof encodeChunk>): Buffer {
  return Buffer.from(text, encoding);
}
