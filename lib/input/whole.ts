import * as z from "zod";
import { must } from "./faults.ts";

/**
 * A whole number from `min` to `max`, as text of a query string, of a command line or of a variable: plain decimal digits and nothing
 * else, for `0x5`, `1e1` and ` 5` are more often a mistake than a wish.
 */
export function whole(min: number, max: number) {
  const within = (given: unknown) => {
    const plain = typeof given === "string" ? /^-?\d{1,15}$/.test(given) : Number.isInteger(given);
    return plain && Number(given) >= min && Number(given) <= max;
  };
  return (
    z
      .unknown()
      .refine(within, must(`be a whole number from ${min} to ${max}`))
      // For the documents: zod leaves the default of what it transforms out of its JSON Schema, and knows no type of a refinement.
      .meta({ type: "integer", minimum: min, maximum: max })
      .pipe(z.coerce.number().int().min(min).max(max))
  );
}
