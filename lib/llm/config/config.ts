import type * as z from "zod";
import { ConfigError } from "../../errors.ts";
import { FROM_OPERATOR, readYaml } from "../../input/yaml.ts";
import { checkConfig, flatten } from "./check.ts";
import { substitute } from "./references.ts";
import {
  type Chain,
  type Config,
  type ConfigFault,
  ConfigFile,
  DEFAULT_TIMEOUTS,
  type Model,
  type Provider,
  type Surroundings,
  type Timeouts,
} from "./schema.ts";

export type Parsed =
  | { ok: true; config: Config; warnings: ConfigFault[] }
  | { ok: false; faults: ConfigFault[]; warnings: ConfigFault[] };

/**
 * Reads llm.config.yaml and checks it as a whole: shape, names, cycles, keys, prices, and what each chain promises.
 * Answers every fault at once, by line.
 */
export function parseConfig(text: string, around: Surroundings): Parsed {
  const read = readYaml(text, FROM_OPERATOR);
  const ofText = read.ok
    ? []
    : read.faults.map(({ line, field, message }) => ({ line, message: `${field || "the file"} ${message}` }));
  // A name that is there twice takes nothing from the reading of the rest.
  const content = read.ok ? read : read.rest;
  if (content === undefined) return { ok: false, faults: ofText, warnings: [] };
  const { value } = content;
  const lineOf = (path: PropertyKey[]): number => content.placeOf(path).line;
  const shaped = ConfigFile.safeParse(value ?? {});
  if (!shaped.success) {
    const faults = shaped.error.issues.flatMap((issue) => {
      const keys = issue.code === "unrecognized_keys" ? issue.keys : [];
      if (keys.length > 0) {
        return keys.map((key) => ({
          line: lineOf([...issue.path, key]),
          message: `${[...issue.path, key].join(".")} is not a known setting`,
        }));
      }
      return [{ line: lineOf(issue.path), message: `${issue.path.join(".") || "the file"}: ${issue.message}` }];
    });
    return {
      ok: false,
      faults: inOrder([
        ...ofText,
        ...faults,
        ...faultsOfTheRest(structuredClone(value) as Entries, shaped.error, around, lineOf),
      ]),
      warnings: [],
    };
  }
  const file = shaped.data;
  const { faults: ofMeaning, warnings, leftOut } = checkConfig(file, around, lineOf);
  const faults = [...ofText, ...ofMeaning];
  if (faults.length > 0) return { ok: false, faults: inOrder(faults), warnings: inOrder(warnings) };
  return { ok: true, config: resolve(file, around, leftOut), warnings: inOrder(warnings) };
}

type Entries = Record<string, Record<string, unknown>>;

/** The entries whose shape is right are checked all the same, so that one run lists everything. */
function faultsOfTheRest(
  raw: Entries,
  error: z.ZodError,
  around: Surroundings,
  lineOf: (path: PropertyKey[]) => number,
): ConfigFault[] {
  const broken = new Set<string>();
  for (const { path } of error.issues) {
    const [section = "", name = ""] = path.map(String);
    if (raw?.[section] == null || typeof raw[section] !== "object") return [];
    if (["providers", "models", "chains"].includes(section)) broken.add(name);
    if (["providers", "models", "chains"].includes(section)) delete raw[section][name];
    else delete raw[section];
  }
  const rest = ConfigFile.safeParse(raw);
  return rest.success ? checkConfig(rest.data, around, lineOf, broken).faults : [];
}

/** The faults as one error that stops the start. */
export function configError(path: string, faults: ConfigFault[]): ConfigError {
  const told = faults.map(({ line, message }) => `  ${path}:${line}  ${message}`).join("\n");
  return new ConfigError(`The LLM configuration is refused:\n${told}\nMend it, then run: npm run llm:check`);
}

function inOrder(faults: ConfigFault[]): ConfigFault[] {
  return faults.toSorted((a, b) => a.line - b.line);
}

function resolve(file: ConfigFile, around: Surroundings, leftOut: Set<string>): Config {
  const providers = new Map<string, Provider>();
  for (const [name, provider] of Object.entries(file.providers)) {
    const base_url = substitute(provider.base_url, around.env).text.replace(/\/+$/, "");
    if (!leftOut.has(name)) providers.set(name, { ...provider, name, base_url });
  }
  const models = new Map<string, Model>();
  for (const [name, model] of Object.entries(file.models)) {
    const provider = providers.get(model.provider);
    if (provider !== undefined) models.set(name, { ...model, name, provider });
  }
  const chains = new Map<string, Chain>();
  for (const [name, chain] of Object.entries(file.chains)) {
    const named = flatten(file, name).flatMap((model) => models.get(model) ?? []);
    if (named.length > 0) chains.set(name, { ...chain, name, models: named });
  }
  return {
    external: file.external === "on",
    providers: [...providers.values()],
    models,
    chains,
    budgets: file.budgets,
    timeouts: withDefaults(file.timeouts),
    keepTextOf: new Set(file.keep_text_of_projects),
  };
}

function withDefaults(given: ConfigFile["timeouts"]): Timeouts {
  const { connect_ms, first_token_ms, idle_ms, total_ms } = DEFAULT_TIMEOUTS;
  return {
    connect_ms: given.connect_ms ?? connect_ms,
    first_token_ms: given.first_token_ms ?? first_token_ms,
    idle_ms: given.idle_ms ?? idle_ms,
    total_ms: given.total_ms ?? total_ms,
  };
}
