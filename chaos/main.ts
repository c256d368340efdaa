// npm run chaos: breaks a whole stack under load in every way that it knows, and looks whether what was promised was kept.
import { appendFileSync, mkdirSync, rmSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { format, styleText } from "node:util";
import pLimit from "p-limit";
import { command, WrongUse, wholeOption } from "../lib/terminal/command.ts";
import { showDuration, showRows } from "../lib/terminal/rows.ts";
import { ROOT } from "../localstack/stack.ts";
import { FAULTS } from "./faults/all.ts";
import { type Fault } from "./faults/fault.ts";
import { faultsOf, matrix, mixes, mixOf, type Planned, planted, short } from "./plan.ts";
import { checkEdits } from "./planted/edits.ts";
import { PLANTS } from "./planted/plants.ts";
import { SHORTENED } from "./planted/shortened.ts";
import { runOnce } from "./run.ts";
import { makeTemplate } from "./world/backing.ts";

const usage = `Usage: npm run chaos -- [what] [--seed N ...] [--seconds S] [--data DIR] [--old DIR]

Without anything it runs each fault alone with three seeds, which takes about an hour and a half.
  --fault ID     only this fault; may be given again, and with --together they happen at once
  --mix          three faults at once, which the seed chooses
  --short        what npm run check runs: at most three minutes
  --plant ID     makes a bug in the product on purpose: it must be found, and the exit code is 1
  --plants       every such bug: each must be found, and the exit code is 0
  --list         what there is
  --seed N       which random choices are made (1, 2 and 3); today takes the date
  --seconds S    how long a fault lasts, instead of its own time
  --data DIR     where journals and logs of failed runs are kept (.waybill/chaos)
  --old DIR      a checkout of an earlier release, for the fault two-versions`;

type Row = { fault: string; seed: number; result: string; recovery_ms: number | null; completed: number | null };
type Setting = { data: string; template: string; old: string | undefined };

const SHORT_MS = 180_000;

const began = performance.now();

// What is started is in process groups of its own, which Ctrl-C does not reach: ending by a handler runs what ends them.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

process.exit(
  await command({
    usage,
    options: {
      fault: { type: "string", multiple: true, default: [] },
      together: { type: "boolean", default: false },
      mix: { type: "boolean", default: false },
      short: { type: "boolean", default: false },
      plant: { type: "string" },
      plants: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      seed: { type: "string", multiple: true, default: [] },
      seconds: { type: "string" },
      data: { type: "string", default: join(ROOT, ".waybill", "chaos") },
      old: { type: "string" },
    },
    run: async ({ values }) => {
      if (values.list) return list();
      const seeds = values.seed.length === 0 ? [1, 2, 3] : values.seed.map(readSeed);
      const [seed = 1] = seeds;
      const lasts = values.seconds === undefined ? undefined : wholeOption("seconds", values.seconds, 1) * 1000;
      const old = values.old === undefined ? undefined : resolve(values.old);
      const data = resolve(values.data);
      const setting: Setting = { data, template: join(data, "template"), old };
      const chosen = readFaults(values.fault);
      const present = (fault: Fault) => fault.missing?.({ old }) === undefined;
      if (values.short) {
        setTimeout(tooLong, SHORT_MS).unref();
        return await runAll(short(seed), setting, short(seed).length);
      }
      if (values.plants)
        return await runAll(
          PLANTS.map((plant) => planted(plant, seed)),
          setting,
        );
      if (values.plant !== undefined) return await onePlant(values.plant, seed, setting);
      if (values.mix) return await runAll(mixes(seeds, present, lasts), setting);
      if (values.together) {
        if (chosen.length < 2) throw new WrongUse("--together needs at least two --fault.");
        const again = `${chosen.map(({ id }) => `--fault ${id}`).join(" ")} --together`;
        return await runAll(
          seeds.map((one) => mixOf(chosen, one, lasts, `${again} --seed ${one}`)),
          setting,
        );
      }
      return await runAll(matrix(chosen.length === 0 ? FAULTS : chosen, seeds, lasts), setting);
    },
  }),
);

/** The short form is over in three minutes, whatever hangs: what had not ended by then did not pass. */
function tooLong(): never {
  console.log(
    styleText("red", `broken: not over after ${SHORT_MS / 60_000} minutes. Run it by itself: npm run chaos -- --short`),
  );
  process.exit(1);
}

function readSeed(text: string): number {
  return text === "today"
    ? Number(new Date().toISOString().slice(0, 10).replaceAll("-", ""))
    : wholeOption("seed", text, 0);
}

function readFaults(ids: readonly string[]): Fault[] {
  try {
    return faultsOf(ids);
  } catch (error) {
    throw new WrongUse((error as Error).message, { cause: error });
  }
}

function list(): void {
  console.log(
    showRows(
      FAULTS.map(({ id, breaks, lasts, missing }) => ({
        fault: id,
        lasts_ms: lasts,
        breaks,
        here: missing?.({ old: undefined }) ?? null,
      })),
    ),
  );
  console.log(
    `\n${showRows(PLANTS.map(({ id, bug, faults, caught }) => ({ plant: id, bug, under: faults, caught_by: caught })))}`,
  );
}

/** A planted bug by itself fails, as the same bug in the product would. */
async function onePlant(id: string, seed: number, setting: Setting): Promise<number> {
  const plant = PLANTS.find((one) => one.id === id);
  if (plant === undefined)
    throw new WrongUse(`There is no plant ${JSON.stringify(id)}. npm run chaos -- --list has them.`);
  const found = await runAll([planted(plant, seed)], setting);
  return found === 0 ? 1 : found;
}

/** Makes the runs, so many at once, and prints what came of each; answers 1 where something was not as it must be. */
async function runAll(runs: readonly Planned[], setting: Setting, atOnce = 1): Promise<number> {
  checkEdits(ROOT, [...SHORTENED, ...PLANTS.flatMap(({ edits }) => edits)]);
  process.env["NODE_COMPILE_CACHE"] ??= join(ROOT, "node_modules", ".cache", "node-compile-cache");
  rmSync(setting.template, { recursive: true, force: true });
  mkdirSync(setting.data, { recursive: true });
  await makeTemplate(setting.template, ROOT, join(setting.data, "template.log"));
  // The parts of the local stack say here what they could not do, which is all the time.
  console.error = (...said: unknown[]) => appendFileSync(join(setting.data, "harness.log"), `${format(...said)}\n`);
  const limit = pLimit(atOnce);
  const rows = await Promise.all(runs.map(async (planned) => await limit(async () => await told(planned, setting))));
  const bad = rows.filter(({ result }) => /^(violated|missed|broken)/.test(result)).length;
  rmSync(setting.template, { recursive: true, force: true });
  console.log(`\n${showRows(rows)}\n`);
  const skipped = rows.filter(({ result }) => result.startsWith("skipped")).length;
  const took = showDuration(performance.now() - began);
  console.log(`${rows.length - bad - skipped} as it must be, ${bad} not, ${skipped} skipped, in ${took}`);
  return bad > 0 || skipped === rows.length ? 1 : 0;
}

/** Makes a run, and prints what came of it. */
async function told(planned: Planned, setting: Setting): Promise<Row> {
  const row = await make(planned, setting);
  const { fault, seed, result, recovery_ms } = row;
  const after = recovery_ms === null ? "" : styleText("dim", `  recovered in ${showDuration(recovery_ms)}`);
  console.log(`${coloured(result)}  ${fault}, seed ${seed}${after}`);
  return row;
}

async function make(planned: Planned, { data, template, old }: Setting): Promise<Row> {
  const { name, faults, seed, plant, lasts, slowest, again } = planned;
  const row = { fault: name, seed, recovery_ms: null, completed: null };
  const missing = faults.flatMap((fault) => fault.missing?.({ old }) ?? []);
  if (missing.length > 0) return { ...row, result: `skipped: ${missing.join("; ")}` };
  const dir = join(data, `${name.replaceAll(/[^a-z0-9-]+/g, "_")}-${seed}`);
  const behind = faults.some(({ id }) => id === "two-versions") && old !== undefined;
  const options = { dir, template, root: ROOT, name, faults, seed, lasts, slowest, edits: plant?.edits ?? [] };
  try {
    const { violations, recoveredMs, done } = await runOnce({
      ...options,
      old: behind ? { root: old, sandboxes: ["dispatch", "sweep"] } : undefined,
    });
    const outcome = { ...row, recovery_ms: recoveredMs ?? null, completed: done };
    const broken = [...new Set(violations.map(({ invariant }) => invariant))];
    if (plant === undefined && broken.length === 0) {
      rmSync(dir, { recursive: true, force: true });
      return { ...outcome, result: "passed" };
    }
    for (const { invariant, message } of violations.slice(0, 12))
      console.log(`  ${styleText("yellow", invariant)}  ${message}`);
    if (violations.length > 12) console.log(`  and ${violations.length - 12} more`);
    console.log(
      styleText("dim", `  journals and logs: ${relative(process.cwd(), dir)}\n  again: npm run chaos -- ${again}`),
    );
    if (plant === undefined) return { ...outcome, result: `violated: ${broken.join(", ")}` };
    const caught = plant.caught.filter((invariant) => broken.includes(invariant));
    if (caught.length > 0) return { ...outcome, result: `caught by ${caught.join(", ")}` };
    return { ...outcome, result: `missed: ${plant.caught.join(" or ")} should have found it` };
  } catch (error) {
    console.log((error as Error).stack);
    console.log(styleText("dim", `  logs: ${relative(process.cwd(), dir)}\n  again: npm run chaos -- ${again}`));
    return { ...row, result: `broken: ${(error as Error).message}` };
  }
}

function coloured(result: string): string {
  const colour = /^(passed|caught)/.test(result) ? "green" : result.startsWith("skipped") ? "yellow" : "red";
  return styleText(colour, result);
}
