import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readDefinition } from "../../lib/registry/definition-file.ts";

/** The faults of a text as `line:column field message`. */
function faultsOf(text: string): string[] {
  const read = readDefinition(text);
  return read.ok ? [] : read.faults.map(({ line, column, field, message }) => `${line}:${column} ${field} ${message}`);
}

const hashOf = (text: string) => {
  const read = readDefinition(text);
  return read.ok ? read.hash : undefined;
};

test("the five agents that ship have sound definitions under their own names", () => {
  const files = readdirSync("agents").filter((name) => name.endsWith(".yaml"));

  const read = files.map((file) => [file, readDefinition(readFileSync(`agents/${file}`, "utf8"))] as const);

  expect(files).toEqual(["code.yaml", "desktop.yaml", "infra.yaml", "orchestrator.yaml", "research.yaml"]);
  for (const [file, one] of read) expect(one).toMatchObject({ ok: true, definition: { name: file.slice(0, -5) } });
});

test("what a file leaves out is filled in, and what it says stays as it was given", () => {
  const read = readDefinition(
    "name: writer\ntriggers:\n  - write a poem\n  - pattern: '\\bode\\b'\nlimits: {concurrency: 2}\n",
  );

  expect(read).toMatchObject({
    ok: true,
    definition: {
      name: "writer",
      version: "1.0.0",
      triggers: [{ phrase: "write a poem" }, { pattern: "\\bode\\b" }],
      work_types: ["*"],
      limits: { concurrency: 2, per_key: 1 },
      presence: "reported",
      routable: true,
      routing: { projects: [], environments: [], languages: [], files: [], after: [] },
    },
    given: { name: "writer", triggers: ["write a poem", { pattern: "\\bode\\b" }], limits: { concurrency: 2 } },
  });
});

test("every fault is told at once, with its line, column and field", () => {
  const text = `name: Writer
version: 1.0
capabilities: [poems, poems]
triggers:
  - pattern: '(a)\\1'
  - pattern: '(?=a)b'
  - 5
work_types: [Code.Run]
limits:
  rate: { count: 0 }
  speed: fast
queue: "my queue"
routing: { projects: [here] }
`;

  expect(faultsOf(text).map((fault) => fault.split(" must ")[0])).toEqual([
    "1:1 name",
    "2:1 version",
    "3:23 capabilities.1 is there twice; keep one",
    "5:5 triggers.0.pattern",
    "6:5 triggers.1.pattern",
    "7:5 triggers.2",
    "8:14 work_types.0",
    "10:3 limits.rate.per_seconds is missing; it",
    "10:11 limits.rate.count",
    "11:3 limits.speed is not a known field",
    "12:1 queue",
    "13:23 routing.projects.0",
  ]);
});

test.each([
  ["a tag", "name: !person ada", "1:7 name has a tag, which is not taken; write the value plainly"],
  ["a tag of JavaScript", "name: !!js/function 'x'", "1:7 name has a tag, which is not taken; write the value plainly"],
  ["a name that is there twice", "name: a\nname: b", "2:1 name is there twice; keep one"],
  [
    "such a name further in",
    "name: a\ncost:\n  per_task_usd: 1\n  per_task_usd: 2",
    "4:3 cost.per_task_usd is there twice; keep one",
  ],
  ["two documents", "name: a\n---\nname: b", "2:1  is followed by another document; keep one"],
  ["a key that is no text", "? [a]\n: b", "1:3 ? has a name that is not text"],
  ["a tab", "name: a\ncost:\n\tper_task_usd: 1", "3:1  is not YAML: Tabs are not allowed as indentation"],
  [
    "nothing",
    "",
    "1:1 name is missing; it must be a lower-case name of letters, digits, - and _, at most 63 characters",
  ],
  ["a word", "hello", "1:1  must be an object, not a string"],
  [
    "what Postgres cannot store",
    'name: a\ndescription: "x\\0"',
    "2:1 description has a NUL character, which Postgres cannot store; remove it or send base64",
  ],
  [
    "a prototype",
    "name: a\n__proto__: {routable: false}",
    "2:1 __proto__ is a key that is not taken; choose another name",
  ],
  [
    "a glob that RE2 cannot match",
    "name: a\nrouting: {files: ['**/*.ts', '(a)\\1']}",
    "2:30 routing.files.1 must be a glob of *, **, ?, [...] and {a,b}",
  ],
  [
    "an orchestrator to which work would go",
    "name: orchestrator",
    "1:1 routable must be false: no work goes to the orchestrator",
  ],
])("%s is refused by its place", (_, text, fault) => {
  expect(faultsOf(text)).toEqual([fault]);
});

test.each([
  [
    "aliases that multiply",
    `a: &a [x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c]`,
    /aliases/,
  ],
  ["an alias of what holds it", "triggers: &a [*a]", /aliases/],
  ["more bytes than a file of a person has", `description: ${"x".repeat(262_144)}`, /has 262157 bytes; at most 262144/],
  ["more keys than the parser takes in reasonable time", "k: 1\n".repeat(40_000), /more than 20000 parts/],
  ["explicit keys in explicit keys", "? ".repeat(100_000), /more than 20000 parts/],
  ["lists in lists", "[".repeat(19_000), /nested too deep/],
  ["maps in maps", "{a: ".repeat(3_000), /nested too deep|is not YAML/],
])("a bomb is refused: %s", (_, text, fault) => {
  expect(faultsOf(text)[0]).toMatch(fault);
});

test("an alias that is small is taken", () => {
  expect(readDefinition("name: a\ncapabilities: &all [x, y]\nrouting: {languages: *all}")).toMatchObject({
    ok: true,
    definition: { capabilities: ["x", "y"], routing: { languages: ["x", "y"] } },
  });
});

test("the hash is of what the definition means", () => {
  const hash = hashOf("name: a\nversion: 2.0.0\nlimits: {concurrency: 2}");

  expect(hash).toMatch(/^[0-9a-f]{64}$/);
  expect(hashOf("# mine\nlimits:\n    per_key: 1\n    concurrency: 2\nversion: '2.0.0'\nname: a\n")).toBe(hash);
  expect(hashOf('{"version": "2.0.0", "name": "a", "limits": {"concurrency": 2}}')).toBe(hash);
  expect(hashOf("name: a\nversion: 2.0.0\nlimits: {concurrency: 3}")).not.toBe(hash);
});

test("whatever the text, it is read or refused with at least one fault, each within the text", () => {
  const near = fc.constantFrom(
    "name: a",
    "limits:",
    "  rate:",
    "- x",
    "&a",
    "*a",
    "!!x",
    "{",
    "}",
    "[",
    "]",
    '"',
    "'",
    "|",
    "\t",
    "---",
    "? ",
    ": ",
  );
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(near, { maxLength: 20 }).map((parts) => parts.join("\n")),
  );

  fc.assert(
    fc.property(text, (given) => {
      const read = readDefinition(given);
      if (read.ok) return;
      const lines = given.split("\n").length;
      expect(read.faults.length).toBeGreaterThan(0);
      for (const { line, column } of read.faults) {
        expect(line).toBeGreaterThanOrEqual(1);
        expect(line).toBeLessThanOrEqual(lines);
        expect(column).toBeGreaterThanOrEqual(1);
      }
    }),
    { numRuns: 500 },
  );
});

const WORDLESS = `must have a word, of letters or digits, as words are compared; for other characters write a pattern, such as {pattern: "🎨"}`;

test.each([
  ["'🎨'", `triggers.0 ${WORDLESS}`],
  ["{phrase: '🎨'}", `triggers.0.phrase ${WORDLESS}`],
  // With a variation selector, as many an emoji is written.
  ["'☎️'", `triggers.0 ${WORDLESS}`],
  ["'!!!'", `triggers.0 ${WORDLESS}`],
  // A letter to Unicode, and yet no word to who splits a text into words.
  ["々", `triggers.0 ${WORDLESS}`],
  ["''", "triggers.0 must not be empty"],
  [`"${"x".repeat(201)}"`, "triggers.0 must have at most 200 characters"],
  ["5", `triggers.0 must be a phrase, such as "write a poem", or {pattern: "a regular expression"}`],
  ["[a]", `triggers.0 must be a phrase, such as "write a poem", or {pattern: "a regular expression"}`],
])("a trigger %s is refused with what to write instead", (trigger, fault) => {
  const [first, ...more] = faultsOf(`name: a\ntriggers: [${trigger}]`);
  expect(first?.slice(first.indexOf(" ") + 1)).toBe(fault);
  expect(more).toEqual([]);
});

test("what the refusal of a trigger names is taken", () => {
  expect(faultsOf(`name: a\ntriggers: [write a poem, {pattern: "🎨"}, {pattern: "a regular expression"}]`)).toEqual([]);
});
