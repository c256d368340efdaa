import { createHash } from "node:crypto";
import { describeIssue, faultsOf } from "../input/faults.ts";
import { canonicalJson, findUnstorable } from "../input/json.ts";
import { readYaml, type YamlFault } from "../input/yaml.ts";
import { AgentDefinition } from "./definition.ts";

/** A definition with its defaults, as it was given, and the SHA-256 by which a change of it is seen. */
export type Read = { definition: AgentDefinition; given: unknown; hash: string };

/** Reads a definition from YAML or JSON text, or answers every fault of it. Never throws; see readYaml for what is refused. */
export function readDefinition(text: string): ({ ok: true } & Read) | { ok: false; faults: YamlFault[] } {
  const yaml = readYaml(text);
  if (!yaml.ok) return yaml;
  const given = yaml.value ?? {};
  const unstorable = findUnstorable(given);
  if (unstorable !== undefined) {
    const { field, message } = unstorable;
    return { ok: false, faults: [{ ...yaml.placeOf(pathOf(field, given)), field, message }] };
  }
  const parsed = AgentDefinition.safeParse(given, { error: describeIssue });
  if (!parsed.success) {
    const faults = faultsOf(parsed.error).map(({ field, message }) => {
      return { ...yaml.placeOf(pathOf(field, given)), field, message };
    });
    return { ok: false, faults: faults.toSorted((a, b) => a.line - b.line || a.column - b.column) };
  }
  const definition = parsed.data;
  return { ok: true, definition, given, hash: hashOf(definition) };
}

/** Of what it means: other comments, another order of names or a default that is written out change nothing. */
function hashOf(definition: AgentDefinition): string {
  return createHash("sha256").update(canonicalJson(definition)).digest("hex");
}

/** The steps of a path with dots; a name may have dots itself, and what it leads to may be missing. */
function pathOf(field: string, value: unknown): (string | number)[] {
  if (field === "") return [];
  const step = Object.keys(Object(value))
    .filter((key) => field === key || field.startsWith(`${key}.`))
    .toSorted((a, b) => b.length - a.length)[0];
  if (step === undefined) return [];
  const inner = (value as Record<string, unknown>)[step];
  return [Array.isArray(value) ? Number(step) : step, ...pathOf(field.slice(step.length + 1), inner)];
}

/** As editors and terminals link to it: file:line:column, then the sentence. */
export function tellFault(file: string, { line, column, field, message }: YamlFault): string {
  return `${file}:${line}:${column}  ${field === "" ? "" : `${field} `}${message}`;
}
