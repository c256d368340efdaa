import * as fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { connect } from "../../../lib/runtime/postgres/db.ts";

const db = connect(process.env, undefined, {});
afterAll(async () => await db.end());

const text = fc
  .string({ unit: "binary", maxLength: 8 })
  .map((value) => value.replaceAll("\0", ""))
  .filter((value) => value.isWellFormed());
const spelt = fc.constantFrom("", "NULL", "null", "{}", '"', "\\", ",", "a b", " ", "\n", "{a,b}", '\\"', "t");

test("a list of texts comes back as it was sent", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(text, spelt, fc.constant(null)), { maxLength: 6 }), async (list) => {
      const [row] = await db<{ list: unknown }[]>`select ${list}::text[] as list`;
      expect(row?.list).toEqual(list);
    }),
    { numRuns: 200 },
  );
});

test.each([
  ["int", [1, null, -2]],
  ["bigint", [1, 2 ** 40]],
  ["real", [0.5, null]],
  ["float8", [1.5, -1e300]],
  ["uuid", ["00000000-0000-7000-8000-000000000001", null]],
  ["text", []],
])("a list as %s[]", async (type, list) => {
  const [row] = await db<{ list: unknown }[]>`select ${list as string[]}::${db.unsafe(type)}[] as list`;
  expect(row?.list).toEqual(list);
});

test("a list for an enum's array goes as text", async () => {
  const [row] = await db<{ fits: boolean }[]>`
    select 'failed'::task_status = any(${["failed", "completed"]}::text[]::task_status[]) as fits
  `;
  expect(row?.fits).toBe(true);
});

test("undefined in a list is refused before anything is sent", async () => {
  const holes = [undefined] as unknown as string[];
  await expect(async () => await db`select ${holes}::text[]`).rejects.toThrow("holds undefined");
});
