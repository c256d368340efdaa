import { createHash } from "node:crypto";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/** Random choices that come from a seed alone. */
export type Dice = {
  /** A number from 0 up to 1. */
  roll: () => number;
  /** A whole number from `least` to `most`, both included. */
  whole: (least: number, most: number) => number;
  /** Whether something of this probability happens. */
  chance: (probability: number) => boolean;
  /** One of the list, which is not empty. */
  one: <T>(from: readonly T[]) => T;
  /** A UUID of version 4. */
  uuid: () => string;
  /** Dice of their own for a part, so that one part's rolls do not move another's. */
  of: (part: string) => Dice;
};

/** Dice by a seed: the same seed and parts give the same rolls in the same order. */
export function diceOf(seed: string): Dice {
  const generator = xoroshiro128plus(createHash("sha256").update(seed).digest().readInt32LE());
  const roll = () => uniformFloat64(generator);
  const whole = (least: number, most: number) => least + Math.floor(roll() * (most - least + 1));
  return {
    roll,
    whole,
    chance: (probability) => roll() < probability,
    one: <T>(from: readonly T[]) => from[whole(0, from.length - 1)] as T,
    uuid: () => {
      const hex = Array.from({ length: 32 }, () => whole(0, 15).toString(16));
      hex[12] = "4";
      hex[16] = "89ab"[whole(0, 3)] as string;
      return hex.join("").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    },
    of: (part) => diceOf(`${seed} ${part}`),
  };
}
