import fc from "fast-check";
import { expect, test } from "vitest";
import { ConfigError } from "../../lib/errors.ts";
import { routerSettings } from "../../lib/router/settings.ts";
import { readSettings } from "../../lib/runtime/settings.ts";

function read(environment: Record<string, string>) {
  return readSettings(routerSettings, environment);
}

test("without variables the router has its documented defaults", () => {
  expect(read({})).toEqual({
    weights: { trigger: 0.4, context: 0.3, capability: 0.2, historical: 0.1 },
    threshold: 0.4,
    fallbackAgent: undefined,
    explore: 0.1,
    margin: 0.3,
    halfLifeDays: 14,
    cacheSeconds: 60,
    snapshotSeconds: 5,
    presenceSeconds: 900,
  });
});

test.each([
  "0.4,0.3,0.2",
  "0.4,0.3,0.2,0.2",
  "1,0,0,0,0",
  "0.4,0.3,0.2,x",
  "1.4,-0.4,0,0",
  "0.4;0.3;0.2;0.1",
  ",,,1",
  "0x1,0,0,0",
])("weights %s refuse the start, naming the variable", (ROUTER_WEIGHTS) => {
  expect(() => read({ ROUTER_WEIGHTS })).toThrow(ConfigError);
  expect(() => read({ ROUTER_WEIGHTS })).toThrow(/ROUTER_WEIGHTS must be four numbers from 0 to 1 that add up to 1/);
});

test("weights of thousandths that add up to 1 are taken", () => {
  fc.assert(
    fc.property(fc.tuple(fc.nat(1000), fc.nat(1000), fc.nat(1000)), (cuts) => {
      const [a = 0, b = 0, c = 0] = cuts.toSorted((x, y) => x - y);
      const parts = [a, b - a, c - b, 1000 - c].map((part) => part / 1000);
      const { trigger, context, capability, historical } = read({ ROUTER_WEIGHTS: parts.join(", ") }).weights;
      expect([trigger, context, capability, historical]).toEqual(parts);
    }),
  );
});

test.each([
  ["ROUTER_THRESHOLD", "1.1", "a number from 0 to 1"],
  ["ROUTER_EXPLORE", "0.6", "a number from 0 to 0.5"],
  ["ROUTER_HALF_LIFE_DAYS", "0", "a number from 0.01 to 3650"],
  ["ROUTER_CACHE_SECONDS", "soon", "a number from 0 to 86400"],
  ["ROUTER_CACHE_SECONDS", " 60 ", "a number from 0 to 86400"],
  ["ROUTER_FALLBACK_AGENT", "No One", "lower-case name"],
  ["ROUTER_FALLBACK_AGENT", "orchestrator", "must be an agent"],
])("%s=%s is refused by name", (name, value, words) => {
  expect(() => read({ [name]: value })).toThrow(name);
  expect(() => read({ [name]: value })).toThrow(words);
});
