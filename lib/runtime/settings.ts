import * as z from "zod";
import { readEnv } from "./env.ts";

/** What is said of a setting where it is declared; .env.example and docs/configuration.md are made of it. */
type Words = {
  /** The variable of the environment. */
  env: string;
  /** What it does, as a sentence or two. */
  says: string;
  /** What a number counts, such as seconds. */
  unit?: string;
  /** A value such as it takes, where there is no default. */
  example?: string;
  /** What counts where an optional one is not set, if the code that reads it has something. */
  otherwise?: string;
  /** The variable that may be set in its place: one of the two is required. */
  or?: string;
};

/** One variable of the environment: its words, and how its text becomes a value. */
export type Setting<T> = Words & {
  /** As a person would write it; undefined where there is none. */
  default?: string;
  required: boolean;
  schema: z.ZodType<T>;
};

/** The settings of one room, by the names that the code has for them. */
export type Settings = Record<string, Setting<unknown>>;

/** What `readSettings` makes of a room's settings. */
export type Values<S extends Settings> = { [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

/**
 * Declares a setting. `takes` reads its text; `default` is a text that `takes` reads too. Without a default it is required,
 * unless it is `optional`: then its value may be undefined.
 */
export function setting<S extends z.ZodType>(given: Words & { takes: S; default: string }): Setting<z.output<S>>;
export function setting<S extends z.ZodType>(
  given: Words & { takes: S; optional: true },
): Setting<z.output<S> | undefined>;
export function setting<S extends z.ZodType>(given: Words & { takes: S }): Setting<z.output<S>>;
export function setting({
  takes,
  optional = false,
  ...words
}: Words & { takes: z.ZodType; default?: string; optional?: boolean }): Setting<unknown> {
  const fallback = words.default;
  const schema = fallback !== undefined ? takes.prefault(fallback) : optional ? takes.optional() : takes;
  return { ...words, required: fallback === undefined && !optional, schema };
}

/**
 * Reads settings from the environment, by default this process's. Throws a ConfigError that names every variable that is
 * wrong or missing; an empty one counts as not set.
 */
export function readSettings<const S extends Settings>(settings: S, source?: NodeJS.ProcessEnv): Values<S> {
  const shape = Object.fromEntries(Object.values(settings).map(({ env, schema }) => [env, schema]));
  const read = readEnv(z.object(shape), source);
  return Object.fromEntries(Object.entries(settings).map(([name, { env }]) => [name, read[env]])) as Values<S>;
}
