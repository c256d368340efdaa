import type { Named } from "../try-each.ts";
import type { Amount } from "./load.ts";
import type { Stack, Variant } from "./stack.ts";

/** One thing that is tried. It answers what it has seen, in a line, and throws what was not as it must be. */
export type Trial = Named & {
  variant: Variant;
  run: (stack: Stack, amount: Amount) => Promise<string>;
};
