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

/** The events of a text, and those of the same text in pieces of one byte. */
function bothWays(stream: string) {
  const bytes = new TextEncoder().encode(stream);
  const reader = sseReader();
  const single = Array.from(bytes, (byte) => reader.push(Uint8Array.of(byte))).flat();
  return [sseReader().push(bytes), single];
}

// https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
test.each([
  ["lines may end with CR alone", "data: a\r\rdata: b\rdata: c\r\r", [{ data: "a" }, { data: "b\nc" }]],
  ["lines may end with CRLF", "event: x\r\ndata: a\r\n\r\n", [{ event: "x", data: "a" }]],
  [
    "the three ends of a line may be mixed",
    "data: a\r\n\ndata: b\n\rdata: c\r\r\n",
    [{ data: "a" }, { data: "b" }, { data: "c" }],
  ],
  ["a field without a colon has an empty value", "data\n\ndata\ndata\n\n", [{ data: "" }, { data: "\n" }]],
  ["one space after the colon is no part of the value", "data:a\n\ndata:  b\n\n", [{ data: "a" }, { data: " b" }]],
  ["an event without data is none, and its name is forgotten", "event: x\n\ndata: a\n\n", [{ data: "a" }]],
  ["a byte order mark at the beginning is passed over", "\uFEFFdata: a\n\n", [{ data: "a" }]],
  ["other fields and comments are passed over", "id: 1\nretry: 5\nother: x\n: y\ndata: a\n\n", [{ data: "a" }]],
])("%s", (_rule, stream, expected) => {
  const data = (all: { event?: string | undefined; data: string }[]) =>
    all.map(({ event, data: said }) => (event === undefined ? { data: said } : { event, data: said }));
  for (const got of bothWays(stream)) expect(data(got)).toEqual(expected);
});
