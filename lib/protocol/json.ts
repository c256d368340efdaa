/** JSON from outside: bounded before it is parsed, and free of text that Postgres or SQS cannot carry. */

export type JsonFault = { code: "invalid_json" | "too_deep" | "unstorable"; field: string; message: string };
export type ParsedJson = { ok: true; value: unknown } | { ok: false; fault: JsonFault };

const QUOTE = 34;
const BACKSLASH = 92;
const OPEN_BRACE = 123;
const OPEN_BRACKET = 91;
const CLOSE_BRACE = 125;
const CLOSE_BRACKET = 93;

/**
 * The deepest nesting of objects and arrays in a JSON text, by one scan without parsing.
 * JSON.parse takes a text a million levels deep and spends a second on it; what then walks the value overflows its stack.
 */
export function jsonDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (inString) {
      if (c === BACKSLASH) i++;
      else if (c === QUOTE) inString = false;
    } else if (c === QUOTE) inString = true;
    else if (c === OPEN_BRACE || c === OPEN_BRACKET) deepest = Math.max(deepest, ++depth);
    else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) depth--;
  }
  return deepest;
}

/** Parses JSON of at most `maxDepth` levels whose every string and number can be stored; answers the fault otherwise. */
export function parseJson(text: string, maxDepth: number): ParsedJson {
  const depth = jsonDepth(text);
  if (depth > maxDepth) {
    const message = `is nested ${depth} levels deep; at most ${maxDepth} are taken`;
    return { ok: false, fault: { code: "too_deep", field: "", message } };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return {
      ok: false,
      fault: { code: "invalid_json", field: "", message: `is not JSON: ${(cause as Error).message}` },
    };
  }
  const fault = findUnstorable(value);
  return fault === undefined ? { ok: true, value } : { ok: false, fault };
}

/** The first place in a JSON value that cannot be stored and sent on unchanged, or undefined. */
export function findUnstorable(value: unknown, field = ""): JsonFault | undefined {
  if (typeof value === "string") return textFault(value, field);
  if (typeof value === "number" && !Number.isFinite(value)) {
    return { code: "unstorable", field, message: "is a number too large for a 64-bit float; send it as a string" };
  }
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const path = field === "" ? key : `${field}.${key}`;
    if (key === "__proto__") {
      return { code: "unstorable", field: path, message: "is a key that is not taken; choose another name" };
    }
    const fault = textFault(key, path) ?? findUnstorable(inner, path);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function textFault(text: string, field: string): JsonFault | undefined {
  if (text.includes("\u0000")) {
    const message = "has a NUL character, which Postgres cannot store; remove it or send base64";
    return { code: "unstorable", field: printable(field), message };
  }
  if (!text.isWellFormed()) {
    const message = "has half of a surrogate pair, which is not valid Unicode; send well-formed text";
    return { code: "unstorable", field: printable(field), message };
  }
  return undefined;
}

function printable(field: string): string {
  return field.replaceAll("\u0000", "\\u0000").toWellFormed();
}

// SQS takes #x9, #xA, #xD, #x20-#xD7FF, #xE000-#xFFFD and the astral planes. JSON.stringify escapes what is below
// #x20 and lone surrogates; these two are left over, and a message with one is refused whole.
const REFUSED_BY_SQS = /[\uFFFE\uFFFF]/g;

/** JSON text that SQS carries unchanged. Throws where the value has no JSON form. */
export function stringifyForQueue(value: unknown): string {
  return JSON.stringify(value).replace(REFUSED_BY_SQS, (c) => `\\u${c.charCodeAt(0).toString(16)}`);
}
