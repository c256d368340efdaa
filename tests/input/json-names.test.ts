import fc from "fast-check";
import { expect, test } from "vitest";
import { parseJson } from "../../lib/input/json.ts";
import { nameGivenTwice } from "../../lib/input/json-names.ts";

const twice = (text: string) => nameGivenTwice(text, JSON.parse(text));

test.each([
  ['{"a":1,"a":1}', ["a"]],
  ['{"a":1,"b":2,"\\u0061":3}', ["a"]],
  ['{"":1,"":2}', [""]],
  ['{"__proto__":1,"__proto__":2}', ["__proto__"]],
  ['[0,{"a":[{"b":1},{"c":{"d":1,"e":":,{","d":2}}]}]', [1, "a", 1, "c", "d"]],
  ['{ "a" : "\\"a\\":1" , "b" : { "a" : 1 , "a" : null } }', ["b", "a"]],
])("%s has a name twice, at %j", (text, path) => {
  expect(twice(text)).toEqual(path);
});

test.each(['{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}', '{"a":"a:a","b":"\\\\","c":"\\":"}', '":"', "[]", "null"])(
  "%s has each name once",
  (text) => {
    expect(twice(text)).toBeUndefined();
  },
);

test("no JSON that was written from a value has a name twice, and any whose name is written again has", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: "binary" }), fc.string({ unit: "binary" }), (value, name) => {
      const [text, key] = [JSON.stringify(value, null, 1), JSON.stringify(name)];
      expect(twice(text)).toBeUndefined();
      expect(twice(`[${text},{${key}:${text},"x${key.slice(1)}:1,${key}:${text}}]`)).toEqual([1, name]);
    }),
    { numRuns: 500 },
  );
});

test("a text whose name is there twice is refused by its path, however long its strings are", () => {
  const message = "is there twice; keep one";

  expect(parseJson(`{"a":{"b":"${'\\"'.repeat(200_000)}","b":1}}`, 9)).toEqual({
    ok: false,
    fault: { code: "unstorable", field: "a.b", message },
  });
});
