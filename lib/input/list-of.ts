import * as z from "zod";
import { describeIssue } from "./faults.ts";

/** A text of a query string with commas between at most `most` items: the items, each once. */
export function listOf<T extends z.ZodType<string>>(item: T, most: number) {
  const items = z.array(item).min(1).max(most);
  return z
    .unknown()
    .transform((given, context) => {
      const read = items.safeParse(typeof given === "string" ? [...new Set(given.split(","))] : given, {
        error: describeIssue,
      });
      if (read.success) return read.data;
      // Of the parameter as a whole: its entries have no names.
      for (const { message } of read.error.issues.slice(0, 1)) context.addIssue(message);
      return z.NEVER;
    })
    .meta(documented(items));
}

/** For the document, which takes an array without `explode` to be written with commas. */
function documented(items: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...schema } = z.toJSONSchema(items);
  return schema;
}
