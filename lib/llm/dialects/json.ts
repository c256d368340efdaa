/** JSON of a vendor or a caller before anybody has looked into it: nothing of its shape is promised. */
export type Json = Record<string, unknown>;

/** The parsed text if it is a JSON object, undefined otherwise. */
export function parseObject(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return asObject(value);
  } catch {
    return undefined;
  }
}

/** The value if it is an object, undefined where it is a list, null or nothing with fields. */
export function asObject(value: unknown): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

/** What is at the end of a path through objects; undefined where there is nothing. */
export function at(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>((inner, name) => asObject(inner)?.[name], value);
}

/** Without the entries that are undefined. */
export function given<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

/** The arguments of a tool call, which are JSON in a text; an empty object where they are not. */
export function readArguments(text: unknown): Json {
  return (typeof text === "string" ? parseObject(text) : undefined) ?? {};
}
