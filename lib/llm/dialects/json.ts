/** JSON of a vendor or a caller, read with care: nothing of its shape is promised. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = Record<string, any>;

/** The parsed text if it is a JSON object, undefined otherwise. */
export function parseObject(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Without the entries that are undefined. */
export function given(object: Json): Json {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

/** The arguments of a tool call, which are JSON in a text; an empty object where they are not. */
export function readArguments(text: unknown): Json {
  return (typeof text === "string" ? parseObject(text) : undefined) ?? {};
}
