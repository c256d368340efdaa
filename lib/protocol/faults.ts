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
  const rule = ruleOf(issue);
  return rule === undefined ? undefined : must(rule).error({ input: valueAt(issue) });
}

function ruleOf(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === "invalid_type") return `be ${KINDS[issue.expected] ?? issue.expected}${otherwise(issue)}`;
  if (issue.code === "invalid_value") return `be ${oneOf(issue.values)}`;
  if (issue.code === "invalid_union" && Array.isArray(issue["options"])) return `be ${oneOf(issue["options"])}`;
  if (issue.code === "too_small" && issue.origin === "string") return "not be empty";
  if (issue.code === "too_small") return `be at least ${issue.minimum}`;
  if (issue.code === "too_big" && issue.origin === "array") return `have at most ${issue.maximum} entries`;
  if (issue.code === "too_big") return `be at most ${issue.maximum}`;
  return undefined;
}

function oneOf(values: readonly unknown[]): string {
  const all = values.map((value) => JSON.stringify(value));
  return all.length === 1 ? String(all[0]) : `one of ${all.join(", ")}`;
}

function otherwise({ input, expected }: { input?: unknown; expected: string }): string {
  if (input === undefined || (expected === "int" && typeof input === "number")) return "";
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
  const faults = error.issues.flatMap((issue) =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => fault([...issue.path, key], "is not a known field"))
      : [fault(issue.path, issue.message)],
  );
  const more = faults.length - MAX_FAULTS;
  if (more > 0) faults.splice(MAX_FAULTS, more, fault([], `and ${more} more`));
  return faults as [Fault, ...Fault[]];
}

function fault(path: readonly PropertyKey[], message: string): Fault {
  return { field: printable(path.join(".")), message };
}
