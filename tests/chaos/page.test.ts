import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { FAULTS } from "../../chaos/faults/all.ts";
import { INVARIANTS } from "../../chaos/invariants/all.ts";
import { PLANTS } from "../../chaos/planted/plants.ts";

const rows = readFileSync("docs/chaos.md", "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| "))
  .map((line) => line.slice(2, -2).split(" | "));

/** The rows below a head, to the next. */
function below(head: string): string[][] {
  const from = rows.findIndex(([first]) => first === head) + 2;
  const rest = rows.slice(from);
  const end = rest.findIndex((_, at) => rest[at + 1]?.[0]?.startsWith("---"));
  return end === -1 ? rest : rest.slice(0, end);
}

test("docs/chaos.md has each fault, in its words", () => {
  expect(below("fault")).toEqual(FAULTS.map(({ id, breaks, holds }) => [`\`${id}\``, breaks, holds]));
});

test("docs/chaos.md has each plant and each invariant", () => {
  const plants = PLANTS.map(({ id, bug, faults, caught }) => [
    `\`${id}\``,
    bug,
    faults.map((fault) => `\`${fault}\``).join(", "),
    caught.join(", "),
  ]);
  expect(below("plant")).toEqual(plants);
  expect(below("invariant").map(([name]) => name)).toEqual(Object.keys(INVARIANTS));
});
