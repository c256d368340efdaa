import fc from "fast-check";
import { expect, test } from "vitest";
import { piecesWithin, rangeOf } from "../../../lib/work/reading/output.ts";

const pieces = (sizes: number[]) => sizes.map((size, n) => ({ outputId: String(n), size }));

test("the pieces of a range hold its bytes, and no piece more than needed", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 20 }),
      fc.nat(),
      fc.nat(),
      (sizes, a, b) => {
        const all = sizes.flatMap((size, n) => Array.from({ length: size }, () => n));
        fc.pre(all.length > 0);
        const [start, end] = [a % all.length, b % all.length].toSorted((x, y) => x - y) as [number, number];

        const { ids, before } = piecesWithin(pieces(sizes), start, end);

        const held = all.filter((n) => ids.includes(String(n)));
        expect(held.slice(start - before, end - before + 1)).toEqual(all.slice(start, end + 1));
        expect(ids.map(Number)).toEqual([...new Set(all.slice(start, end + 1))]);
      },
    ),
  );
});

test("a range is answered as RFC 9110 has it", () => {
  const ten = pieces([4, 6]);

  expect(rangeOf(ten, undefined, 100)).toEqual({ status: 200, start: 0, end: 9, size: 10 });
  expect(rangeOf(ten, "bytes=2-5", 100)).toEqual({ status: 206, start: 2, end: 5, size: 10 });
  expect(rangeOf(ten, "bytes=8-", 100)).toEqual({ status: 206, start: 8, end: 9, size: 10 });
  expect(rangeOf(ten, "bytes=-3", 100)).toEqual({ status: 206, start: 7, end: 9, size: 10 });
  for (const longer of ["bytes=-10", "bytes=-11", "bytes=-999999999999999999999"])
    expect(rangeOf(ten, longer, 100)).toEqual({ status: 206, start: 0, end: 9, size: 10 });
  expect(rangeOf(ten, "bytes=0-99", 100)).toEqual({ status: 206, start: 0, end: 9, size: 10 });
  expect(rangeOf(ten, "bytes=0-1,4-5", 100).status).toBe(200);
  expect(rangeOf(ten, "lines=1-2", 100).status).toBe(200);
  expect(rangeOf(ten, "nonsense", 100).status).toBe(200);
  for (const invalid of ["bytes=5-2", "bytes=12-11", "bytes=0-1,5-2"])
    expect(rangeOf(ten, invalid, 100)).toEqual({ status: 200, start: 0, end: 9, size: 10 });
  for (const outside of ["bytes=10-11", "bytes=-0"])
    expect(() => rangeOf(ten, outside, 100)).toThrow(expect.objectContaining({ status: 416 }));
  expect(() => rangeOf(ten, "bytes=10-", 100)).toThrow(expect.objectContaining({ status: 416 }));
});

test("no output is an empty answer, whatever is asked of it", () => {
  expect(rangeOf([], undefined, 100)).toEqual({ status: 200, start: 0, end: -1, size: 0 });
  expect(rangeOf([], "bytes=0-5", 100)).toEqual({ status: 200, start: 0, end: -1, size: 0 });
});

test("more than one answer carries is refused with how to ask for it", () => {
  expect(() => rangeOf(pieces([60, 60]), undefined, 100)).toThrow(/Range: bytes=0-99/);
  expect(rangeOf(pieces([60, 60]), "bytes=20-119", 100).status).toBe(206);
});
