import { FAULTS } from "./faults/all.ts";
import type { Fault } from "./faults/fault.ts";
import { diceOf } from "./load/dice.ts";
import { PLANTS, type Plant } from "./planted/plants.ts";

/** One run that is to be made. */
export type Planned = {
  /** As the table names it. */
  name: string;
  faults: readonly Fault[];
  seed: number;
  /** A bug that must be found. */
  plant?: Plant;
  lasts?: number;
  /** How many times the usual patience a slow machine may have. */
  slowest?: number;
  /** The words after `npm run chaos --` by which it is made again. */
  again: string;
};

/** Each fault alone with each seed. */
export function matrix(faults: readonly Fault[], seeds: readonly number[], lasts?: number): Planned[] {
  return faults.flatMap((fault) =>
    seeds.map((seed) => ({
      name: fault.id,
      faults: [fault],
      seed,
      ...(lasts === undefined ? {} : { lasts }),
      again: `--fault ${fault.id} --seed ${seed}${lasts === undefined ? "" : ` --seconds ${lasts / 1000}`}`,
    })),
  );
}

const MIXED = 3;
const MIX_MS = 8_000;

/** A mix for each seed: three faults at once, which the seed chooses among those that mix and that are not missing here. */
export function mixes(seeds: readonly number[], present: (fault: Fault) => boolean, lasts = MIX_MS): Planned[] {
  const candidates = FAULTS.filter((fault) => fault.id !== "none" && fault.mixes !== false && present(fault));
  return seeds.map((seed) => {
    const dice = diceOf(`mix ${seed}`);
    const left = [...candidates];
    const faults = Array.from({ length: MIXED }, () => left.splice(dice.whole(0, left.length - 1), 1)).flat();
    return mixOf(faults, seed, lasts, `--mix --seed ${seed}`);
  });
}

/** These faults at once. */
export function mixOf(faults: readonly Fault[], seed: number, lasts: number | undefined, again: string): Planned {
  const name = faults.map(({ id }) => id).join(" + ");
  return { name, faults, seed, again, ...(lasts === undefined ? {} : { lasts }) };
}

/** A planted bug under its fault. */
export function planted(plant: Plant, seed: number): Planned {
  const faults = faultsOf(plant.faults);
  return {
    name: `${plant.faults.join(" + ")} with ${plant.id}`,
    faults,
    seed,
    plant,
    lasts: plant.lasts,
    again: `--plant ${plant.id} --seed ${seed}`,
  };
}

/** What the checks run within three minutes: the commonest faults together, and a bug that must be found. */
export function short(seed: number): Planned[] {
  const first = ["backends-terminated", "functions-killed", "duplicates"];
  const plant = PLANTS.find(({ id }) => id === "no-fencing") as Plant;
  const again = `--fault ${first.join(" --fault ")} --together --seed ${seed} --seconds 5`;
  return [mixOf(faultsOf(first), seed, 5_000, again), planted(plant, seed)].map((one) => ({ ...one, slowest: 1 }));
}

/** The faults of these ids, in their order. Throws a RangeError that lists the known ones for another. */
export function faultsOf(ids: readonly string[]): Fault[] {
  return ids.map((id) => {
    const found = FAULTS.find((fault) => fault.id === id);
    if (found === undefined)
      throw new RangeError(`There is no fault ${JSON.stringify(id)}. npm run chaos -- --list has them.`);
    return found;
  });
}
