// Own, though zod-validation-error exists: a fault here is a sentence that says what to do, one for each field.
import type * as z from "zod";
import { printable } from "./json.ts";

/** One thing that is wrong: `field` is its path with dots, empty for the whole; `field message` reads as a sentence. */
export type Fault = { field: string; message: string };

/** A message that is wrong in a thousand places is wrong; its author mends the first ones first. */
const MAX_FAULTS = 20;

/** The error of a schema in the words of faults: what its value must do, and that it is missing where it is. */
export function must(rule: string): { error: (issue: { input?: unknown }) => string } {
  return { error: ({ input }) => (input === undefined ? `is missing; it must ${rule}` : `must ${rule}`) };
}

const KINDS: Record<string, string> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "an object",
  record: "an object",
  array: "a list",
};

/**
 * The words for an issue whose schema has none of its own: `schema.safeParse(value, { error: describeIssue })`.
 * Made for readers who know JSON and not zod; never quotes the value.
 */
export function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  // Of a name that is no key of a record: what such a name must be.
  if (issue.code === "invalid_key") return issue.issues[0]?.message;
  const rule = ruleOf(issue);
  return rule === undefined ? undefined : must(rule).error({ input: valueAt(issue) });
}

function ruleOf(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === "invalid_type" && issue.expected === "nonoptional") return "be given";
  if (issue.code === "invalid_type") return `be ${KINDS[issue.expected] ?? issue.expected}${otherwise(issue)}`;
  if (issue.code === "invalid_value") return `be ${oneOf(issue.values)}`;
  if (issue.code === "invalid_union" && Array.isArray(issue["options"])) return `be ${oneOf(issue["options"])}`;
  if (issue.code === "invalid_union") return `be ${kindsOf(issue.errors ?? []).join(" or ")}`;
  if (issue.code === "too_small") return leastOf(issue);
  if (issue.code === "too_big") return mostOf(issue);
  if (issue.code === "not_multiple_of") return `be a multiple of ${issue.divisor}`;
  if (issue.code === "invalid_format") return FORMATS[issue.format] ?? `be written as ${issue.format}`;
  return undefined;
}

const FORMATS: Record<string, string> = {
  guid: "be a UUID",
  uuid: "be a UUID",
  url: "be a URL",
  email: "be an e-mail address",
  datetime: "be an ISO 8601 time with a zone",
  date: "be a date, such as 2026-03-01",
  regex: "have another form",
};

const UNITS: Record<string, string> = { string: "characters", array: "entries", map: "entries", set: "entries" };

type Least = Pick<z.core.$ZodIssueTooSmall, "origin" | "minimum"> & { inclusive?: boolean | undefined };
type Most = Pick<z.core.$ZodIssueTooBig, "origin" | "maximum"> & { inclusive?: boolean | undefined };

function leastOf({ origin, minimum, inclusive }: Least): string {
  const unit = UNITS[origin];
  if (unit !== undefined) return minimum === 1 ? "not be empty" : `have at least ${minimum} ${unit}`;
  return inclusive === false ? `be more than ${minimum}` : `be at least ${minimum}`;
}

function mostOf({ origin, maximum, inclusive }: Most): string {
  const unit = UNITS[origin];
  if (unit !== undefined) return `have at most ${maximum} ${unit}`;
  return inclusive === false ? `be less than ${maximum}` : `be at most ${maximum}`;
}

function kindsOf(members: z.core.$ZodIssue[][]): string[] {
  const kinds = members.flat().map((issue) => {
    if (issue.code === "invalid_value") return oneOf(issue.values);
    return issue.code === "invalid_type" ? (KINDS[issue.expected] ?? issue.expected) : "an object";
  });
  return [...new Set(kinds)];
}

function oneOf(values: readonly unknown[]): string {
  const all = values.map((value) => JSON.stringify(value));
  return all.length === 1 ? String(all[0]) : `one of ${all.join(", ")}`;
}

function otherwise({ input, expected }: { input?: unknown; expected: string }): string {
  if (input === undefined || (typeof input === "number" && (expected === "int" || expected === "number"))) return "";
  if (input === null) return ", not null";
  return `, not ${Array.isArray(input) ? "a list" : (KINDS[typeof input] ?? typeof input)}`;
}

/** A union that finds no member by its discriminator points at that field, but holds the whole object. */
function valueAt(issue: z.core.$ZodRawIssue): unknown {
  const name = issue["discriminator"];
  return issue.code === "invalid_union" && typeof name === "string"
    ? (issue.input as Record<string, unknown>)[name]
    : issue.input;
}

/** What is wrong, one entry per field and at most 20: an unknown field is named itself, not the object that holds it. */
export function faultsOf(error: z.ZodError): [Fault, ...Fault[]] {
  const all = new Map<string, Fault>();
  for (const found of error.issues.flatMap((issue) => faultsIn(issue))) {
    if (!all.has(found.field)) all.set(found.field, found);
  }
  const faults = [...all.values()];
  const more = faults.length - MAX_FAULTS;
  if (more > 0) faults.splice(MAX_FAULTS, more, fault([], `and ${more} more`));
  return faults as [Fault, ...Fault[]];
}

function faultsIn(issue: z.core.$ZodIssue, parent: readonly PropertyKey[] = []): Fault[] {
  const path = [...parent, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => fault([...path, key], "is not a known field"));
  }
  const nearest = issue.code === "invalid_union" ? nearestMember(issue.errors) : undefined;
  return nearest?.flatMap((inner) => faultsIn(inner, path)) ?? [fault(path, issue.message)];
}

/** Of a union whose member is not told by a field: the one whose kind the value has, with the fewest faults inside. */
function nearestMember(members: z.core.$ZodIssue[][]): z.core.$ZodIssue[] | undefined {
  const inside = members.filter((issues) =>
    issues.every(({ path, code }) => path.length > 0 || code === "unrecognized_keys"),
  );
  return inside.toSorted((a, b) => a.length - b.length).find((issues) => issues.length > 0);
}

function fault(path: readonly PropertyKey[], message: string): Fault {
  return { field: printable(path.join(".")), message };
}
