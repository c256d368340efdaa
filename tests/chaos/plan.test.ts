import { expect, test } from "vitest";
import { FAULTS } from "../../chaos/faults/all.ts";
import { bodyOf, pieceOf, USUAL } from "../../chaos/load/client.ts";
import { diceOf } from "../../chaos/load/dice.ts";
import { faultsOf, matrix, mixes, planted, short } from "../../chaos/plan.ts";
import { PLANTS } from "../../chaos/planted/plants.ts";

test("the same seed makes the same choices, another seed others", () => {
  const piece = (seed: string) => bodyOf(pieceOf(diceOf(seed), USUAL)) + diceOf(seed).uuid();
  expect(piece("1")).toBe(piece("1"));
  expect(piece("1")).not.toBe(piece("2"));
  expect(diceOf("1").of("a").roll()).toBe(diceOf("1").of("a").roll());
  expect(diceOf("1").of("a").roll()).not.toBe(diceOf("1").of("b").roll());
});

test("each fault is run alone with each seed", () => {
  expect(matrix(FAULTS, [1, 2, 3])).toHaveLength(FAULTS.length * 3);
  expect(new Set(FAULTS.map(({ id }) => id)).size).toBe(FAULTS.length);
});

test("a mix is three faults that its seed chooses, of those that mix", () => {
  const [first, again, other] = [1, 1, 2].flatMap((seed) => mixes([seed], () => true));
  expect(first?.name).toBe(again?.name);
  expect(first?.name).not.toBe(other?.name);
  for (const { faults } of mixes([1, 2, 3, 4, 5, 6, 7, 8], () => true)) {
    expect(new Set(faults).size).toBe(3);
    expect(faults.every((fault) => fault.mixes !== false && fault.id !== "none")).toBe(true);
  }
});

test("the short form has a bug that must be found, and each run says how it is made again", () => {
  expect(short(1).some(({ plant }) => plant !== undefined)).toBe(true);
  for (const { again, seed } of [...short(3), ...PLANTS.map((plant) => planted(plant, 3))]) {
    expect(again).toContain(`--seed ${seed}`);
  }
});

test("a fault that is not there is refused with where the list is", () => {
  expect(() => faultsOf(["none", "flood"])).toThrow(/no fault "flood"\. npm run chaos -- --list/);
});
