import { expect, test } from "vitest";
import { MemberName } from "../../lib/access/members/schema.ts";
import { isPlainName } from "../../lib/input/plain-name.ts";
import { Decide } from "../../lib/work/core/schema.ts";

test.each(["ada@example.com", "Ada Lovelace", "Zoë Ångström", "李雷", "محمد", "🦊"])("%j is a name", (name) => {
  expect([isPlainName(name), MemberName.safeParse(name).success]).toEqual([true, true]);
});

test.each([
  ["zero-width space", "ad\u200ba"],
  ["zero-width joiner", "ad\u200da"],
  ["byte order mark", "a\ufeffda"],
  ["soft hyphen", "ad\u00ada"],
  ["Hangul filler", "ad\u3164a"],
  ["variation selector", "ada\ufe0f"],
  ["tag", "ada\u{e0041}"],
  ["override of direction", "ad\u202ea"],
  ["isolate", "ad\u2066a"],
  ["control", "ad\u0007a"],
  ["newline", "ad\na"],
  ["line separator", "ad\u2028a"],
  ["no-break space", "ad\u00a0a"],
  ["half of a pair", "ad\ud800a"],
  ["unassigned", "ad\u0378a"],
  ["private use", "ad\ue000a"],
  ["decomposed", "Zoe\u0308"],
])("a name with %s is none, of members and of who decides", (_what, name) => {
  expect(isPlainName(name)).toBe(false);
  expect([MemberName.safeParse(name).success, Decide.safeParse({ by: name }).success]).toEqual([false, false]);
});
