import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { expect, test, vi } from "vitest";
import { uuidOf, uuidv7, uuidv7At } from "../../lib/runtime/ids.ts";

const V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** A process's ids start from its clock: each test has the module to itself. */
async function fresh(): Promise<typeof uuidv7> {
  vi.resetModules();
  return (await import("../../lib/runtime/ids.ts")).uuidv7;
}

const timeOf = (id: string) => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);

test("an id is a UUIDv7 and tells its time", async () => {
  const now = Date.now();
  const id = (await fresh())(now);

  expect(id).toMatch(V7);
  expect(timeOf(id)).toBe(now);
});

test("an id of another time tells that time, whatever ids were made before", () => {
  uuidv7();
  const early = uuidv7At(new Date("2026-03-01T12:00:00Z"));

  expect(early).toMatch(V7);
  expect(timeOf(early)).toBe(Date.parse("2026-03-01T12:00:00Z"));
  expect(uuidv7() > early).toBe(true);
});

test("a million ids of one process are different and in order, and their time stays close to the clock", () => {
  const ids = Array.from({ length: 1_000_000 }, () => uuidv7());
  const now = Date.now();

  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.every((id, at) => at === 0 || id > (ids[at - 1] ?? ""))).toBe(true);
  expect(Math.abs(timeOf(ids.at(-1) ?? "") - now)).toBeLessThan(1_000);
});

test("more ids than a millisecond has numbers for run into the next one, in order", async () => {
  const make = await fresh();
  const ids = Array.from({ length: 20_000 }, () => make(1_000_000));

  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.toSorted()).toEqual(ids);
});

test("a clock that goes back does not take the order with it", async () => {
  const make = await fresh();
  const ids = [5_000, 5_001, 4_000, 1_000, 5_001, 5_002].map((now) => make(now));

  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
});

test("twenty processes at once make no id twice", async () => {
  const script = `import { uuidv7 } from "./lib/runtime/ids.ts";
    process.stdout.write(Array.from({ length: 2000 }, () => uuidv7()).join("\\n"));`;
  const outputs = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script]);
      return await text(child.stdout);
    }),
  );
  const ids = outputs.flatMap((output) => output.split("\n"));

  expect(ids).toHaveLength(40_000);
  expect(ids.every((id) => V7.test(id))).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
});

test("the same text has the same UUID, and another text another", () => {
  expect(uuidOf("order 1")).toBe(uuidOf("order 1"));
  expect(uuidOf("order 1")).not.toBe(uuidOf("order 2"));
  expect(uuidOf("order 1")).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
