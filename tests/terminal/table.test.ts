import { expect, test } from "vitest";
import { align, cut, lengthOf, lineOf } from "../../lib/terminal/table.ts";

const red = (text: string) => `\u001b[31m${text}\u001b[39m`;

test("columns are as wide as their widest cell, and a colour takes no width", () => {
  const rows = [
    ["name", "count", "note"],
    [red("a"), "7", "first"],
    ["longer", "1234567", ""],
  ];

  expect(align(rows)).toEqual(["name    count    note", `${red("a")}       7        first`, "longer  1234567"]);
  expect(align(rows, [false, true])).toEqual([
    "name      count  note",
    `${red("a")}             7  first`,
    "longer  1234567",
  ]);
});

test("no rows are no lines, and a row that is short has empty cells", () => {
  expect(align([])).toEqual([]);
  expect(align([["a", "b"], ["c"]])).toEqual(["a  b", "c"]);
});

test("rows that are printed as they come keep the widths that were said", () => {
  const line = lineOf(-10, 6);

  expect([line("submit", "12.5", "  MISSED"), line("", "p50"), line("far too long a name", "1")]).toEqual([
    "submit      12.5  MISSED",
    "             p50",
    "far too long a name     1",
  ]);
});

test("a text is cut and counted by characters as they are seen", () => {
  expect(cut("😀😀😀", 3)).toBe("😀😀😀");
  expect(cut("😀😀😀😀", 3)).toBe("😀😀…");
  expect(cut("abc", 0)).toBe("…");
  expect(lengthOf(red("😀a"))).toBe(2);
});
