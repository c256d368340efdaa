import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { FAULTS } from "../../chaos/faults/all.ts";
import { PLANTS } from "../../chaos/planted/plants.ts";

function chaos(...args: string[]) {
  return spawnSync(process.execPath, ["chaos/main.ts", ...args], { encoding: "utf8" });
}

test("--list has every fault and every plant", () => {
  const { status, stdout } = chaos("--list");
  expect(status).toBe(0);
  for (const { id } of [...FAULTS, ...PLANTS]) expect(stdout).toContain(id);
});

test.each([
  [["--fault", "flood"], 'no fault "flood"'],
  [["--plant", "flood"], 'no plant "flood"'],
  [["--seed", "x"], "--seed must be a whole number"],
  [["--seconds", "0"], "--seconds must be a whole number of at least 1"],
  [["--together"], "--together needs at least two"],
])("%j is wrong use", (args, says) => {
  const { status, stderr } = chaos(...args);
  expect(stderr).toContain(says);
  expect(status).toBe(2);
});
