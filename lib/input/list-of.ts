import * as z from "zod";

/** A text of a query string with commas between at most `most` items: the items, each once. */
export function listOf<T extends z.ZodType<string>>(item: T, most: number) {
  const items = z.array(item).min(1).max(most);
  return z
    .unknown()
    .transform((given) => (typeof given === "string" ? [...new Set(given.split(","))] : given))
    .pipe(items)
    .meta(documented(items));
}

/** For the document, which takes an array without `explode` to be written with commas. */
function documented(items: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...schema } = z.toJSONSchema(items);
  return schema;
}
