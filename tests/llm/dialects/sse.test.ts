import { expect, test } from "vitest";
import { sseReader } from "../../../lib/llm/dialects/sse.ts";

const text = 'event: a\r\ndata: {"x":"äö"}\r\n\r\n: a comment\n\ndata: 1\ndata: 2\n\n\n\ndata: [DONE]\n\ndata: cut of';
const events = [{ event: "a", data: '{"x":"äö"}' }, { data: "1\n2" }, { data: "[DONE]" }];

test("events are the same however the bytes are cut, and one that is not ended is none", () => {
  const bytes = new TextEncoder().encode(text);

  for (let size = 1; size <= bytes.length; size++) {
    const reader = sseReader();
    const got: unknown[] = [];
    for (let at = 0; at < bytes.length; at += size) got.push(...reader.push(bytes.subarray(at, at + size)));
    expect(got, `in pieces of ${size}`).toEqual(events);
  }
});

test("an event that never ends is refused before it fills the memory", () => {
  const reader = sseReader();
  const piece = new TextEncoder().encode("x".repeat(100_000));
  for (let i = 0; i < 80; i++) expect(reader.push(piece)).toEqual([]);

  expect(() => reader.push(piece)).toThrow(/too long/);
});
