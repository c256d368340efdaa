import { expect, test } from "vitest";
import { FAULTS } from "../../chaos/faults/all.ts";
import { INVARIANTS } from "../../chaos/invariants/all.ts";
import { checkEdits, type Edit, edited } from "../../chaos/planted/edits.ts";
import { PLANTS } from "../../chaos/planted/plants.ts";
import { SHORTENED } from "../../chaos/planted/shortened.ts";

test.each([{ id: "shortened times", edits: SHORTENED }, ...PLANTS])("$id fits the sources as they are", ({ edits }) => {
  expect(() => checkEdits(".", edits)).not.toThrow();
});

test.each(PLANTS)("$id names a fault and invariants that there are", ({ faults, caught }) => {
  for (const fault of faults) expect(FAULTS.map(({ id }) => id)).toContain(fault);
  for (const invariant of caught) expect(Object.keys(INVARIANTS)).toContain(invariant);
});

const edit: Edit = { file: "a.ts", from: "= 60;", to: "= 6;" };

test("an edit changes the one place that it names", () => {
  expect(edited("const A = 60;\nconst B = 7;", [edit])).toBe("const A = 6;\nconst B = 7;");
});

test.each(["const A = 61;", "const A = 60; const B = 60;"])("an edit that does not fit %j says where", (text) => {
  expect(() => edited(text, [edit])).toThrow(
    /a\.ts has "= 60;" \d times, not once\. Mend the edit in chaos\/planted\//,
  );
});
