import { compileGlob } from "../../registry/patterns/glob.ts";
import type { Routable, RouteRequest } from "./routable.ts";

/** What a definition says of where its agent belongs, compiled. */
export type ContextIndex = {
  projects: ReadonlySet<string>;
  environments: ReadonlySet<string>;
  languages: ReadonlySet<string>;
  after: ReadonlySet<string>;
  files: ((path: string) => boolean) | undefined;
};

/** What a request states of its surroundings; empty: it says nothing. */
export type Surroundings = {
  projects: readonly string[];
  environment: readonly string[];
  languages: readonly string[];
  files: readonly string[];
  parent: readonly string[];
  /** Whether it says anything at all. */
  stated: boolean;
};

/** Neither for nor against: nothing was asked, or the definition says nothing of it. */
const NEUTRAL = 0.5;
const MOST_FILES = 100;
/** A longer path matches nothing. */
const LONGEST_PATH = 1000;

/** Compiles where a definition says that its agent belongs; names compare in lower case. */
export function indexContext({ routing }: Pick<Routable, "routing">): ContextIndex {
  return {
    projects: lowerCase(routing.projects),
    environments: lowerCase(routing.environments),
    languages: lowerCase(routing.languages),
    after: lowerCase(routing.after),
    files: routing.files.length === 0 ? undefined : anyOf(routing.files),
  };
}

/** The definition's globs have been compiled before it was stored. */
function anyOf(globs: readonly string[]): (path: string) => boolean {
  const compiled = globs.map((glob) => compileGlob(glob));
  return (path) => path.length <= LONGEST_PATH && compiled.some((glob) => glob.test(path));
}

/** Reads project_id, the parent's agent and hints.project, .environment, .language, .files; a hint that is no text is not heard. */
export function surroundingsOf({ project_id, parent_agent, hints }: RouteRequest): Surroundings {
  const surroundings = {
    projects: [...texts(project_id), ...texts(hints?.["project"])].map(lower),
    environment: texts(hints?.["environment"]).map(lower),
    languages: texts(hints?.["language"]).map(lower),
    files: texts(hints?.["files"])
      .slice(0, MOST_FILES)
      .map((path) => path.replace(/^\.\//, "")),
    parent: texts(parent_agent).map(lower),
  };
  return { ...surroundings, stated: Object.values(surroundings).some((list) => list.length > 0) };
}

/** 0 to 1: the mean over the dimensions that the request states, each 1 where the definition names it, 0 where it names others, 0.5 where it names none; 0.5 where it states nothing. */
export function contextScore(index: ContextIndex, surroundings: Surroundings): number {
  if (!surroundings.stated) return NEUTRAL;
  const stated = [
    match(index.projects, surroundings.projects),
    match(index.environments, surroundings.environment),
    match(index.languages, surroundings.languages),
    match(index.after, surroundings.parent),
    matchFiles(index.files, surroundings.files),
  ].filter((score) => score !== undefined);
  return stated.reduce((sum, score) => sum + score, 0) / stated.length;
}

function match(named: ReadonlySet<string>, asked: readonly string[]): number | undefined {
  if (asked.length === 0) return undefined;
  if (named.size === 0) return NEUTRAL;
  return asked.some((one) => named.has(one)) ? 1 : 0;
}

/** The share of the files that a glob matches. */
function matchFiles(matches: ContextIndex["files"], asked: readonly string[]): number | undefined {
  if (asked.length === 0) return undefined;
  return matches === undefined ? NEUTRAL : asked.filter(matches).length / asked.length;
}

/** A text, or the texts of a list. */
export function texts(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter((one): one is string => typeof one === "string" && one !== "");
}

function lower(text: string): string {
  return text.toLowerCase();
}

function lowerCase(list: readonly string[]): ReadonlySet<string> {
  return new Set(list.map(lower));
}
