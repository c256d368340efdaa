import { type Fault, repeatedly } from "./fault.ts";

/** Faults that callers are. */
export const CALLERS: readonly Fault[] = [
  {
    id: "oversize",
    breaks: "callers send bodies at and over the limit, and JSON nested a million deep",
    holds: "each is answered with a 4xx, and nobody else waits",
    lasts: 6_000,
    inject: async ({ client }, dice) => {
      const bodies: readonly (() => string)[] = [
        () => bodyOf("x".repeat(1_048_576)),
        () => bodyOf("x".repeat(3_000_000)),
        () => `{"parameters":${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}}`,
        () => `{"parameters":${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}}`,
        () => String.raw`{"request_text":"\u0000"}`,
        () => "{",
      ];
      return repeatedly(dice, [200, 600], async () => {
        await client.call("oversize", dice.uuid(), "/work", dice.one(bodies)());
      });
    },
  },
  {
    id: "noisy-neighbour",
    breaks: "a hundred pieces of work for one agent come at once, and more while they wait",
    holds: "the other agent's work does not wait behind them",
    lasts: 8_000,
    load: { perSecond: 3 },
    inject: async ({ client }, dice) => {
      const flood = async () => {
        const pieces = Array.from({ length: 12 }, () => client.noisy(dice));
        await Promise.all(pieces.map(async (piece) => await client.submit(piece)));
      };
      for (let waves = 0; waves < 6; waves++) client.also(flood);
      return async () => {};
    },
  },
];

function bodyOf(text: string): string {
  return JSON.stringify({ request_text: "too much", work_type: "chaos.run", to_agent: "mason", parameters: { text } });
}
