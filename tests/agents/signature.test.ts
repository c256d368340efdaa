import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson } from "../../lib/input/json.ts";
import { findPython } from "../support/agents/python.ts";

const python = findPython();

const PROGRAM = `
import json, sys
sys.path.insert(0, "agents/python")
from signature import canonical
print(json.dumps([canonical(value).decode() for value in json.load(sys.stdin)]))
`;

// Both sides must come to the same bytes, or a message is taken for a forged one: numbers and the order of names are where they could differ.
test.skipIf(python === undefined)(
  "the agent in Python signs the bytes that the control plane looks at, whatever is in a message",
  () => {
    const numbers = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer(), fc.maxSafeInteger());
    const value = fc.anything({
      values: [numbers, fc.string({ unit: "binary" }), fc.boolean(), fc.constant(null)],
      maxDepth: 3,
    });
    const edges = [1e21, 1e20, 123456789012345680000, -0, 5e-324, 1.7976931348623157e308, 1e-6, 1e-7, 9.5e-7, 0.1, 4.5];
    const values = JSON.parse(JSON.stringify([edges, ...fc.sample(value, { numRuns: 3000, seed: 8785 })])) as unknown[];
    const well = values.filter((one) => JSON.stringify(one)?.isWellFormed() && !JSON.stringify(one).includes("\\ud"));

    const said = execFileSync(python ?? "", ["-c", PROGRAM], { input: JSON.stringify(well), maxBuffer: 100_000_000 });

    expect(well.length).toBeGreaterThan(1_000);
    expect(JSON.parse(said.toString())).toEqual(well.map((one) => canonicalJson(one)));
  },
);
