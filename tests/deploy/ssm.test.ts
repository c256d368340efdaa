import { expect, test } from "vitest";
import { referencesIn, templateWithTexts, withTexts } from "../../deploy/ssm.ts";

const TEXT = "{{resolve:ssm:/a/host}}:{{resolve:ssm:/a/port:2}}/{{resolve:ssm:/a/host}}";

test("SSM is asked for each parameter by its path, and for a version where one is named", () => {
  expect(referencesIn(TEXT)).toEqual(["/a/host", "/a/port:2", "/a/host"]);
  expect(referencesIn("postgres://u@h/d {{resolve:secretsmanager:x}}")).toEqual([]);
});

test("what SSM holds takes the place of the references, whatever is in it; what was not read stays", () => {
  expect(withTexts(TEXT, { "/a/host": "h", "/a/port:2": "$1" })).toBe("h:$1/h");
  expect(withTexts(TEXT, { "/a/port": "1", "/a/host": "" })).toBe(":{{resolve:ssm:/a/port:2}}/");
});

test("in a template every text is looked through, and nothing but texts", () => {
  const template = { A: [{ B: "x {{resolve:ssm:/a}}" }, 1, true], C: { "Fn::Sub": "{{resolve:ssm:/a}}" } };

  expect(templateWithTexts(template, { "/a": 'he said "no"\n' })).toEqual({
    A: [{ B: 'x he said "no"\n' }, 1, true],
    C: { "Fn::Sub": 'he said "no"\n' },
  });
});
