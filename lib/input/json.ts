// Own, though secure-json-parse and json-bigint are near: text is bounded in depth before it is parsed, numbers that would lose
// digits are found, and equal content has one canonical form. No library does the three.
import { nameGivenTwice } from "./json-names.ts";

/** JSON from outside: bounded before it is parsed, and free of text that Postgres or SQS cannot carry. */

/** `field` is the path with dots, empty for the whole text; `field message` reads as a sentence. */
export type JsonFault = { code: "invalid_json" | "too_deep" | "unstorable"; field: string; message: string };
export type ParsedJson = { ok: true; value: unknown } | { ok: false; fault: JsonFault };

const QUOTE = 34;
const MINUS = 45;
const ZERO = 48;
const NINE = 57;
const BACKSLASH = 92;
const OPEN_BRACE = 123;
const OPEN_BRACKET = 91;
const CLOSE_BRACE = 125;
const CLOSE_BRACKET = 93;

/**
 * The deepest nesting of objects and arrays in a JSON text, by one scan without parsing.
 * JSON.parse takes half a million levels in 60 ms; what then walks the value overflows its stack.
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

/**
 * Parses JSON of at most `maxDepth` levels whose every string and number can be stored, and whose objects have each name once;
 * answers the fault otherwise.
 */
export function parseJson(text: string, maxDepth: number): ParsedJson {
  const depth = jsonDepth(text);
  if (depth > maxDepth) {
    return { ok: false, fault: { code: "too_deep", field: "", message: tooDeep(depth, maxDepth) } };
  }
  let value: unknown;
  try {
    // A reviver takes forty times as long, so only to find where it is what must be refused.
    value = numberChanged(text) !== undefined ? JSON.parse(text, markInexact) : JSON.parse(text);
  } catch (cause) {
    return { ok: false, fault: { code: "invalid_json", field: "", message: `is not JSON: ${reasonOf(cause)}` } };
  }
  const fault = findUnstorable(value) ?? twiceFault(nameGivenTwice(text, value));
  return fault === undefined ? { ok: true, value } : { ok: false, fault };
}

/** JSON.parse would keep the last and drop what came before it without a word. */
function twiceFault(path: readonly (string | number)[] | undefined): JsonFault | undefined {
  return path && { code: "unstorable", field: printable(path.join(".")), message: "is there twice; keep one" };
}

/** Without one of these every number comes back as it came: 16 digits, maybe with a point, or an exponent of three. */
const SUSPECT = /[\d.]{16}|\d[eE]\+?\d{3}/;
const NUMBER = /[-+.\deE]*/y;
const PARTS = /^-?(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/;

/** Stands for a whole number whose digits would not come back as they came. */
const INEXACT = Symbol("inexact");

/** The first number of a JSON text that reading it changes: a whole one that a 64-bit float does not hold, or one past all floats. */
export function numberChanged(text: string): string | undefined {
  if (!SUSPECT.test(text)) return undefined;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === BACKSLASH) i++;
    else if (c === QUOTE) inString = !inString;
    else if (!inString && ((c >= ZERO && c <= NINE) || c === MINUS)) {
      NUMBER.lastIndex = i;
      const literal = NUMBER.exec(text)?.[0] ?? "";
      if (isInexact(literal) || !Number.isFinite(Number(literal))) return literal;
      i += literal.length - 1;
    }
  }
  return undefined;
}

/** A fraction is a measure, and rounding is what a float does to it; what is whole, however it is written, is a count or a name. */
function isInexact(literal: string): boolean {
  const value = Number(literal);
  if (!Number.isFinite(value) || Math.abs(value) < 2 ** 53) return false;
  const written = wholeOf(literal);
  // Both ways of writing it: to the last digit, and as short as JavaScript does.
  return written !== undefined && written !== wholeOf(String(BigInt(value))) && written !== wholeOf(String(value));
}

/** A whole number without the zeros around its digits, equal however it is written; undefined for a fraction. */
function wholeOf(literal: string): string | undefined {
  const [, before = "", fraction = "", exponent = "0"] = PARTS.exec(literal) ?? [];
  const digits = (before + fraction).replace(/^0+/, "");
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === ZERO) end--;
  const zeros = Number(exponent) - fraction.length + digits.length - end;
  return zeros < 0 ? undefined : `${digits.slice(0, end)}e${zeros}`;
}

/** A reviver for JSON.parse. */
function markInexact(_key: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === "number" && isInexact(context?.source ?? "") ? INEXACT : value;
}

/** The sentence that refuses a text for its nesting. */
export function tooDeep(depth: number, most: number): string {
  return `is nested ${depth} levels deep; at most ${most} are taken`;
}

/** V8 quotes the text that it could not parse; faults are logged, so the quotation is cut off. */
function reasonOf(cause: unknown): string {
  return printable((cause as Error).message.replace(/, (?:\.\.\.)?".*$/s, ""));
}

/**
 * The first place in a value that would not arrive as it is: text that Postgres cannot store, a number past a 64-bit float,
 * a key named __proto__, or something that JSON does not have. Undefined where there is none.
 */
export function findUnstorable(value: unknown, field = ""): JsonFault | undefined {
  const first = search(value);
  if (first === undefined) return undefined;
  const path = [...(field === "" ? [] : [field]), ...first.path.toReversed()];
  return { code: "unstorable", field: printable(path.join(".")), message: first.message };
}

/** The path is gathered innermost first, on the way out: naming every place on the way in took ten times as long. */
type Found = { path: (string | number)[]; message: string };

function search(value: unknown): Found | undefined {
  if (typeof value === "string") return textFault(value);
  if (typeof value === "number" && !Number.isFinite(value)) {
    return found("is a number too large for a 64-bit float; send it as a string");
  }
  if (value === INEXACT) return found("is a whole number that a 64-bit float would change; send it as a string");
  if (typeof value === "function" || typeof value === "symbol" || typeof value === "bigint") {
    return found(`is a ${typeof value}, which JSON does not have`);
  }
  if (typeof value !== "object" || value === null) return undefined;
  return Array.isArray(value) ? searchArray(value) : searchObject(value as Record<string, unknown>);
}

function searchArray(values: unknown[]): Found | undefined {
  for (let i = 0; i < values.length; i++) {
    const inner = values[i] === undefined ? found("is undefined, which JSON does not have") : search(values[i]);
    if (inner !== undefined) return within(i, inner);
  }
  return undefined;
}

function searchObject(value: Record<string, unknown>): Found | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    return found(`is a ${value.constructor.name}, which JSON does not have`);
  }
  for (const key of Object.keys(value)) {
    const inner = keyFault(key) ?? search(value[key]);
    if (inner !== undefined) return within(key, inner);
  }
  return undefined;
}

function keyFault(key: string): Found | undefined {
  return key === "__proto__" ? found("is a key that is not taken; choose another name") : textFault(key);
}

function textFault(text: string): Found | undefined {
  if (text.includes("\u0000")) {
    return found("has a NUL character, which Postgres cannot store; remove it or send base64");
  }
  if (!text.isWellFormed()) {
    return found("has half of a surrogate pair, which is not valid Unicode; send well-formed text");
  }
  return undefined;
}

function found(message: string): Found {
  return { path: [], message };
}

function within(key: string | number, inner: Found): Found {
  inner.path.push(key);
  return inner;
}

/** Text from outside as a log or a message can carry it: short, without control characters and halves of pairs. */
export function printable(text: string, longest = 200): string {
  const short = text.length > longest ? `${text.slice(0, longest)}…` : text;
  return short.replace(/[\p{Cc}\p{Cs}\uFFFE\uFFFF]/gu, escaped);
}

// SQS takes #x9, #xA, #xD, #x20-#xD7FF, #xE000-#xFFFD and #x10000-#x10FFFF. JSON.stringify escapes what is below #x20 and
// halves of pairs; these are left over, and a message with one is refused whole.
const REFUSED_BY_SQS = /[\uFFFE\uFFFF]/g;

/** JSON text that SQS carries unchanged. Throws where the value has no JSON form. */
export function stringifyForQueue(value: unknown): string {
  return JSON.stringify(value).replace(REFUSED_BY_SQS, escaped);
}

function escaped(c: string): string {
  return `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** The JSON text of a value with the keys of objects in order and without undefined: equal for equal content, as RFC 8785 has it. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join(",")}}`;
}
