import { expect, test } from "vitest";
import { ConfigError } from "../../lib/errors.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { needsApproval } from "../../lib/work/core/lifecycle.ts";
import { workSettings } from "../../lib/work/settings.ts";

const rules = (APPROVAL_REQUIRED: string) => readSettings(workSettings, { APPROVAL_REQUIRED }).approvalRequired;

test.each([
  ["", []],
  ["code.run", ["code.run"]],
  [" infra.* , code.run,", ["infra.*", "code.run"]],
  ["infra*,code.d*", ["infra*", "code.d*"]],
  ["*", ["*"]],
  ["a-1.b_2.c", ["a-1.b_2.c"]],
])("APPROVAL_REQUIRED=%j is for %j", (given, read) => {
  expect(rules(given)).toEqual(read);
});

test.each([
  "infra.",
  "Infra.*",
  "infra.*.check",
  "*.check",
  "infra.**",
  "infra.?",
  "code.run;infra.*",
  "code.run infra.*",
  '["infra.*"]',
  "code.run,,Deploy",
  "1code",
  `a${"b".repeat(100)}`,
])("APPROVAL_REQUIRED=%j refuses the start by name", (given) => {
  expect(() => rules(given)).toThrow(ConfigError);
  expect(() => rules(given)).toThrow(
    /APPROVAL_REQUIRED must be work types such as code\.run, groups such as infra\.\*/,
  );
});

test("what is taken is what counts for work", () => {
  expect(["infra.check", "infrared", "code.run"].map((type) => needsApproval(type, rules("infra.*")))).toEqual([
    true,
    false,
    false,
  ]);
});
