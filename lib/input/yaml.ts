// The parser is `yaml`; own is what it has not: every fault with the field that holds it, and bounds that make text from anybody safe.
import { type Document, isMap, isSeq, Lexer, LineCounter, parseDocument, type Scalar } from "yaml";
import { printable } from "./json.ts";

/** Where something is in a text; both count from 1. */
export type Place = { line: number; column: number };
/** `field` is the path with dots of what holds the fault, empty where that is the whole. */
export type YamlFault = Place & { field: string; message: string };
type Content = { value: unknown; placeOf: (path: readonly PropertyKey[]) => Place };
/** `rest`: what can be read all the same, where nothing is wrong but names that are there twice; so that all faults are told at once. */
export type ReadYaml = ({ ok: true } & Content) | { ok: false; faults: YamlFault[]; rest?: Content };

/** A file of a person, not a load of data. The parser's time grows with the square of the keys of a map: by the parts it stays below a second. */
const FROM_ANYBODY: Bounds = { bytes: 262_144, parts: 20_000 };
/** For a file of the one who runs this. */
export const FROM_OPERATOR: Bounds = { bytes: 8_388_608, parts: 500_000 };
type Bounds = { bytes: number; parts: number };
/** What aliases may grow a document by. */
const MAX_ALIASES = 20;
const MAX_FAULTS = 20;

/**
 * Reads YAML 1.2 (and so JSON) whose tags are those of the core schema, whose keys are texts and each there once. Answers the value with
 * the place of everything in it, or every fault. Size, parts, nesting and aliases are bounded, by
 * default so that text from anybody is safe.
 */
export function readYaml(text: string, bounds = FROM_ANYBODY): ReadYaml {
  const outside = boundsFault(text, bounds);
  if (outside !== undefined) return { ok: false, faults: [{ line: 1, column: 1, field: "", message: outside }] };
  const counter = new LineCounter();
  const placed = (offset: number): Place => {
    const { line, col } = counter.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const document = parseDocument(text, {
    lineCounter: counter,
    prettyErrors: false,
    schema: "core",
    resolveKnownTags: false,
    stringKeys: true,
  });
  const found = [...document.errors, ...document.warnings];
  const twice = found.every(({ code }) => code === "DUPLICATE_KEY");
  const faults: YamlFault[] = [];
  if (found.length > 0) {
    const told = found.slice(0, MAX_FAULTS).map(({ pos, code, message }) => {
      const field = code === "RESOURCE_EXHAUSTION" ? "" : fieldAt(document.contents, pos[0]).join(".");
      return { ...placed(pos[0]), field: printable(field), message: WORDS[code] ?? `is not YAML: ${message}` };
    });
    if (!twice) return { ok: false, faults: told };
    faults.push(...told);
  }
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    // A value that holds itself would have every reader walk for ever.
    JSON.stringify(value);
    const content: Content = { value, placeOf: (path) => placed(offsetOf(document, path)) };
    return faults.length === 0 ? { ok: true, ...content } : { ok: false, faults, rest: content };
  } catch {
    const message = "aliases make this larger than it may become, or have it hold itself; write it out";
    return { ok: false, faults: [{ line: 1, column: 1, field: "", message }] };
  }
}

function boundsFault(text: string, { bytes: most, parts: mostParts }: Bounds): string | undefined {
  const bytes = Buffer.byteLength(text);
  if (bytes > most) return `has ${bytes} bytes; at most ${most} are taken`;
  const lexer = new Lexer().lex(text);
  for (let parts = 0; !lexer.next().done; parts++) {
    if (parts === mostParts) return `has more than ${mostParts} parts (names, values, signs); write less`;
  }
  return undefined;
}

const WORDS: Record<string, string> = {
  TAG_RESOLVE_FAILED: "has a tag, which is not taken; write the value plainly",
  DUPLICATE_KEY: "is there twice; keep one",
  NON_STRING_KEY: "has a name that is not text",
  MULTIPLE_DOCS: "is followed by another document; keep one",
  RESOURCE_EXHAUSTION: "is nested too deep",
};

/** Of the name, where a map holds it, else of the value; of the nearest that is there for what is missing. */
function offsetOf(document: Document.Parsed, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const steps = path.slice(0, length);
    const range = (keyNode(document, steps) ?? (document.getIn(steps, true) as Ranged | undefined))?.range;
    if (range != null) return range[0];
  }
  return document.contents?.range[0] ?? 0;
}

/** The names and numbers that lead to what stands at an offset. */
function fieldAt(node: unknown, offset: number): (string | number)[] {
  const holds = (from: Ranged | undefined, to: Ranged | undefined) =>
    (from?.range?.[0] ?? Infinity) <= offset && offset <= (to?.range?.[1] ?? from?.range?.[1] ?? -1);
  if (isMap<Scalar, Ranged>(node)) {
    // Of two with one name the later is at fault.
    const pair = node.items.findLast(({ key, value }) => holds(key, value ?? undefined));
    if (pair === undefined) return [];
    const { value: name } = pair.key;
    return [typeof name === "string" ? name : "?", ...fieldAt(pair.value, offset)];
  }
  if (!isSeq<Ranged>(node)) return [];
  const index = node.items.findIndex((item) => holds(item, item));
  return index < 0 ? [] : [index, ...fieldAt(node.items[index], offset)];
}

type Ranged = { range?: readonly [number, number, number] | null };

function keyNode(document: Document.Parsed, path: readonly PropertyKey[]): Ranged | undefined {
  const parent = (path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true)) as
    | { items?: { key?: Ranged & { value?: unknown } }[] }
    | null
    | undefined;
  return parent?.items?.find((item) => item?.key?.value === path.at(-1))?.key;
}
