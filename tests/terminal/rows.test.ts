import { expect, test } from "vitest";
import { showDuration, showRows } from "../../lib/terminal/rows.ts";

test("rows are told as a table: numbers to the right, times short, empty columns left out, durations with their unit", () => {
  const rows = [
    { name: "a", count: 1, at: "2026-03-01T12:00:05.123Z", run_ms: 1500, nothing: null, list: ["x", "y"] },
    { name: "longer", count: 10.5, at: null, run_ms: null, nothing: null, list: [] },
  ];

  expect(showRows(rows)).toBe(
    [
      "name    count  at                     run  list",
      "------  -----  -------------------  -----  ----",
      "a           1  2026-03-01 12:00:05  1.5 s  x, y",
      "longer   10.5  -                        -",
    ].join("\n"),
  );
});

test("a duration keeps a name of its own beside a column of that name", () => {
  expect(showRows([{ step: 2, step_ms: 5 }]).split("\n")[0]).toBe("step  step_time");
});

test("long text is cut, and never in the middle of a character", () => {
  const [, , row = ""] = showRows([{ text: "😀".repeat(100) }]).split("\n");

  expect(row).toBe(`${"😀".repeat(59)}…`);
});

test("what could move the cursor or colour the terminal is not printed", () => {
  const [, , row] = showRows([{ text: "a\u001b[2Jb\nc\u202ed\u0000e" }]).split("\n");

  expect(row).toBe("a [2Jb c d e");
});

test("text gives way to the width, ids do not", () => {
  const id = "0198c5f2-7c1e-7000-8000-0123456789ab";
  const lines = showRows([{ task_id: id, text: "word ".repeat(20), other: "short" }], 72).split("\n");

  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(72);
  expect(lines[2]).toContain(id);
  expect(lines[2]).toContain("short");
});

test("a few rows that are too wide for a table are told side by side, a line a column; many are not", () => {
  const row = { agent: "code", says: "it is done, and more is to be said", steps: 5, failed_steps: 1, run_ms: 1500 };
  const shown = showRows([row, { ...row, agent: "infra" }], 50);

  expect(shown.split("\n")).toEqual([
    "agent         code               infra",
    "says          it is done, and …  it is done, and …",
    "steps         5                  5",
    "failed_steps  1                  1",
    "run           1.5 s              1.5 s",
  ]);
  expect(
    showRows(
      Array.from({ length: 5 }, () => row),
      50,
    ),
  ).toMatch(/^1\. -/);
});

test("a table that cannot fit is told as one block a row", () => {
  const id = "0198c5f2-7c1e-7000-8000-0123450789ab";
  const shown = showRows(
    [
      { task_id: id, trace_id: id },
      { task_id: id, trace_id: id },
    ],
    60,
  );

  expect(shown.split("\n")).toEqual([
    "1. ----------",
    `task_id   ${id}`,
    `trace_id  ${id}`,
    "2. ----------",
    `task_id   ${id}`,
    `trace_id  ${id}`,
  ]);
});

test.each([
  [0, "0 ms"],
  [999, "999 ms"],
  [999.7, "1.0 s"],
  [59_940, "59.9 s"],
  [59_960, "1 min 0 s"],
  [61_000, "1 min 1 s"],
  [3_600_000, "1 h 0 min"],
  [86_399_000, "1 d 0 h"],
  [90_000_000, "1 d 1 h"],
  [-1500, "-1.5 s"],
])("%d ms are %s", (ms, shown) => {
  expect(showDuration(ms)).toBe(shown);
});
