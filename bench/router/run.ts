// npm run bench:router -- [--seed 1] [--seeds 8] [--decisions 10000]: how well the router chooses, learns and foretells, and how fast.
import { parseArgs } from "node:util";
import { lineOf } from "../../lib/terminal/table.ts";
import { calibrate, mean } from "./calibration.ts";
import { type Names, type Simulated, simulate } from "./simulation.ts";
import { measureSpeed } from "./speed.ts";
import { worldOf } from "./world.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "8" },
    decisions: { type: "string", default: "10000" },
  },
});
const first = Number(values.seed);
const decisions = Number(values.decisions);
const SLICE = 1_000;
const WAYS: Names[] = ["random", "trigger-only", "router", "oracle"];
const failures: string[] = [];
/** The router's quality in the end as a share of the oracle's, a seed each. */
const ends: number[] = [];

const world = worldOf(first);
const kinds = new Set(world.requests.map(({ kind }) => kind));
console.log(
  `${world.requests.length} labelled requests of ${kinds.size} kinds, ${world.definitions.length} agents, ${decisions} outcomes`,
);
for (let seed = first; seed < first + Number(values.seeds); seed++) {
  const simulated = simulate(seed, decisions);
  if (seed === first) printCourse(simulated);
  printEnd(simulated);
  if (seed === first) printCalibration(simulated);
}
console.log(
  `\nof the oracle's, over ${ends.length} seeds: mean ${percent(mean(ends))}, lowest ${percent(Math.min(...ends))}`,
);
claim(mean(ends) >= 0.9, "over the seeds, the router ends within 10 % of the oracle");
printSpeed();
for (const failure of failures) console.log(`MISSED ${failure}`);
process.exitCode = failures.length === 0 ? 0 : 1;

function printCourse({ seed, runs }: Simulated): void {
  console.log(`\nseed ${seed}, per ${SLICE}: share of best choices, and regret (expected quality below the oracle's)`);
  const line = lineOf(-14, 22, 22, 22);
  console.log(line("outcomes", ...WAYS.slice(0, 3)));
  for (let from = 0; from < decisions; from += SLICE) {
    const part = (list: readonly (number | boolean)[]) => mean(list.slice(from, from + SLICE).map(Number));
    const cells = WAYS.slice(0, 3).map((way) => {
      const regret = part(runs.oracle.expected) - part(runs[way].expected);
      return `${percent(part(runs[way].best))} ${regret.toFixed(3)}`;
    });
    console.log(line(`to ${Math.min(from + SLICE, decisions)}`, ...cells));
  }
}

/** The last 1,000, and what is claimed of them. */
function printEnd({ seed, runs, strategies }: Simulated): void {
  const last = (way: Names) => mean(runs[way].expected.slice(-SLICE));
  const ofOracle = (way: Names) => last(way) / last("oracle");
  const quality = WAYS.map((way) => `${way} ${last(way).toFixed(3)}`).join(", ");
  console.log(`\nseed ${seed}, expected quality in the last ${SLICE}: ${quality}`);
  console.log(
    `  of the oracle's: router ${percent(ofOracle("router"))}, trigger-only ${percent(ofOracle("trigger-only"))}, random ${percent(ofOracle("random"))};` +
      ` quality obtained: router ${mean(runs.router.obtained.slice(-SLICE)).toFixed(3)}, oracle ${mean(runs.oracle.obtained.slice(-SLICE)).toFixed(3)};` +
      ` left to a person: ${strategies.get("none") ?? 0}`,
  );
  ends.push(ofOracle("router"));
  const gap = (last("router") - last("trigger-only")) / (last("oracle") - last("trigger-only"));
  claim(gap >= 1 / 4, `seed ${seed}: of what trigger-only misses, the router gets at least a quarter`);
  claim((strategies.get("none") ?? 0) <= decisions / 20, `seed ${seed}: at most 5 % are left to a person`);
}

function printCalibration({ predictions }: Simulated): void {
  const late = predictions.slice(-5 * SLICE);
  const confidence = calibrate(late.map((one) => ({ predicted: one.confidence, actual: one.actual })));
  const expected = calibrate(late.map((one) => ({ predicted: one.expected, actual: one.actual })));
  console.log(`\nseed ${first}, confidence against the quality recorded, last ${late.length}:`);
  for (const { from, count, predicted, actual } of confidence.buckets)
    console.log(
      `  ${from.toFixed(1)}–${(from + 0.1).toFixed(1)}  ${String(count).padStart(5)}  confidence ${predicted.toFixed(3)}  quality ${actual.toFixed(3)}`,
    );
  console.log(
    `calibration error: confidence ${confidence.error.toFixed(3)}; expected quality, which history alone gives, ${expected.error.toFixed(3)}`,
  );
}

function printSpeed(): void {
  const line = lineOf(6, 16, 12, 25, 31);
  const titles = ["agents", "with a pattern", "index, ms", "decision, µs p50 / p99", "from the cache, µs p50 / p99"];
  console.log(`\n${line(...titles)}`);
  const crowds: [agents: number, patterns: number][] = [
    [10, 2],
    [100, 20],
    [1_000, 0],
    [1_000, 200],
    [1_000, 1_000],
  ];
  for (const [agents, patterns] of crowds) {
    const { indexMs, coldUs, cachedUs } = measureSpeed(world, agents, patterns, first);
    console.log(line(String(agents), String(patterns), indexMs.toFixed(1), pair(coldUs), pair(cachedUs)));
    claim(coldUs[1] < 100_000, `${agents} agents: a decision takes under 100 ms`);
  }
}

function pair([p50, p99]: [number, number]): string {
  return `${p50.toFixed(0)} / ${p99.toFixed(0)}`;
}

function claim(holds: boolean, what: string): void {
  if (!holds) failures.push(what);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
