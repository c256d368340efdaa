import { expect, test } from "vitest";
import { calibrate, mean } from "../../bench/router/calibration.ts";
import { type Names, simulate } from "../../bench/router/simulation.ts";
import { worldOf } from "../../bench/router/world.ts";

test("the router learns: in a small simulation it ends better than by triggers alone, and better than it began", () => {
  const { runs } = simulate(1, 3_000);
  const regret = (way: Names, from: number) =>
    mean(runs.oracle.expected.slice(from, from + 500)) - mean(runs[way].expected.slice(from, from + 500));

  expect(regret("router", 2_500)).toBeLessThan(0.9 * regret("trigger-only", 2_500));
  expect(regret("router", 2_500)).toBeLessThan(0.9 * regret("router", 0));
  expect(regret("random", 2_500)).toBeGreaterThan(regret("trigger-only", 2_500));
});

test("the same seed gives the same course, another seed another", () => {
  const course = (seed: number) => simulate(seed, 200).runs.router.expected;

  expect(course(3)).toEqual(course(3));
  expect(course(4)).not.toEqual(course(3));
});

test("the requests are a few hundred different sentences of about ten kinds", () => {
  const { requests } = worldOf(1);

  expect(new Set(requests.map(({ text }) => text)).size).toBe(requests.length);
  expect(requests.length).toBeGreaterThanOrEqual(300);
  expect(new Set(requests.map(({ kind }) => kind)).size).toBeGreaterThanOrEqual(10);
});

test("calibration: no error where predictions hold, the distance where they do not", () => {
  const exact = [0.25, 0.25, 0.25, 0.25].map((predicted, at) => ({ predicted, actual: at === 0 ? 1 : 0 }));

  expect(calibrate(exact).error).toBeCloseTo(0);
  expect(
    calibrate([
      { predicted: 0.9, actual: 0 },
      { predicted: 0.1, actual: 0 },
    ]).error,
  ).toBeCloseTo(0.5);
});
