import { basename, dirname } from "node:path/posix";
import picomatch from "picomatch";
import type { Mend, Row } from "./imports.ts";
import type { Import, Source } from "./source.ts";

/** What the code is held to. */
export type Rules = {
  folders: Record<string, Row>;
  reasons: [of: string, reason: string][];
  pure: string[];
  toMend: Mend[];
};

/** An import as an arrow: from a file, or from a folder, to another, with the import that draws it. */
type Arrow = { from: string; to: string; drawn: string };

/** Whether a file is meant by `lib/x` (its own files), `lib/x/**`, `lib/x.ts`, or a package by its name or `node:*`. */
export function fits(pattern: string, { of, file }: Pick<Import, "of" | "file">): boolean {
  if (!file)
    return pattern.endsWith("*") && !pattern.includes("/**") ? of.startsWith(pattern.slice(0, -1)) : of === pattern;
  return matcher(pattern)(of);
}

const matchers = new Map<string, (path: string) => boolean>();
function matcher(pattern: string): (path: string) => boolean {
  const known = matchers.get(pattern) ?? picomatch(/\*|\.\w+$/.test(pattern) ? pattern : `${pattern}/*`);
  matchers.set(pattern, known);
  return known;
}

/** The folder of a file, as the table calls it: a file that lies in lib/ itself counts as a folder. */
export function folderOf(path: string): string {
  return dirname(path) === "lib" ? path : dirname(path);
}

/** Arrows as the table allows them: where these make no circle, the imports that it allows make none. */
export function circlesOfTable(sources: Source[], { folders }: Rules): string[] {
  return circles(
    Object.entries(folders).flatMap(([from, { may = [], types = [] }]) =>
      [...may, ...types].flatMap((pattern) => {
        const met = sources
          .filter(({ path }) => fits(pattern, { of: path, file: true }))
          .map(({ path }) => folderOf(path));
        return [...new Set(met)]
          .filter((to) => to !== from)
          .map((to) => ({ from, to, drawn: `${from} may import ${pattern}` }));
      }),
    ),
  );
}

/** Everything that is against the rules, a sentence each; empty where all is well. */
export function faultsIn(sources: Source[], rules: Rules): string[] {
  const kept = sources.map((source) => ({
    ...source,
    imports: source.imports.filter((one) => !rules.toMend.some((mend) => mends(mend, source.path, one))),
  }));
  const between = arrows(kept, (path) => path);
  const folders = arrows(kept, folderOf);
  return [
    ...kept.flatMap((source) => refused(source, rules)),
    ...circles(between),
    ...circles(folders),
    ...impure(kept, rules),
  ];
}

function mends([from, to]: Mend, path: string, one: Pick<Import, "of" | "file">): boolean {
  return fits(from, { of: path, file: true }) && fits(to, one);
}

function refused({ path, imports }: Source, { folders, reasons }: Rules): string[] {
  const folder = folderOf(path);
  const row = folders[folder];
  if (row === undefined) {
    return [
      `${path}: ${folder} has no row. Say in tests/boundaries/imports.ts what it may import: "${folder}": room([…]).`,
    ];
  }
  const own = row.settings === true && basename(path) === "settings.ts" ? ["lib/runtime/settings.ts"] : [];
  const values = [...(row.may ?? []), ...own];
  return imports
    .filter((one) => !(one.file && folderOf(one.of) === folder))
    .filter((one) => ![...values, ...(one.typeOnly ? (row.types ?? []) : [])].some((pattern) => fits(pattern, one)))
    .map((one) => `${tell(path, one)}. ${why(reasons, one)} ${folder} may import ${values.join(", ") || "nothing"}.`);
}

function why(reasons: Rules["reasons"], one: Import): string {
  return reasons.find(([pattern]) => fits(pattern, one))?.[1] ?? "It is not in the row of the folder.";
}

function tell(path: string, { of, names, typeOnly, line }: Import): string {
  return `${path}:${line} imports ${typeOnly ? "the type " : ""}${names.length === 0 ? "" : `${names.join(", ")} of `}${of}`;
}

function arrows(sources: Source[], point: (path: string) => string): Arrow[] {
  return sources.flatMap(({ path, imports }) =>
    imports
      .filter(({ of, file }) => file && point(of) !== point(path))
      .map((one) => ({ from: point(path), to: point(one.of), drawn: tell(path, one) })),
  );
}

/** One sentence for each group of points that can all be reached from each other (Tarjan): a shortest way round. */
function circles(all: Arrow[]): string[] {
  const out = Map.groupBy(all, ({ from }) => from);
  return knots(out).map((knot) => {
    const round = wayRound(out, knot);
    const names = [...round.map(({ from }) => from), round[0]?.from];
    return `a circle: ${names.join(" -> ")}, since ${round.map(({ drawn }) => drawn).join("; ")}. One of them has to go.`;
  });
}

function knots(out: Map<string, Arrow[]>): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const open: string[] = [];
  const found: string[][] = [];
  const visit = (point: string) => {
    index.set(point, index.size);
    low.set(point, index.get(point) ?? 0);
    open.push(point);
    for (const { to } of out.get(point) ?? []) {
      if (!index.has(to)) visit(to);
      if (open.includes(to)) low.set(point, Math.min(low.get(point) ?? 0, low.get(to) ?? 0));
    }
    if (low.get(point) !== index.get(point)) return;
    const knot = open.splice(open.indexOf(point));
    if (knot.length > 1) found.push(knot.toSorted());
  };
  for (const point of out.keys()) if (!index.has(point)) visit(point);
  return found;
}

/** The shortest way from the first point of a knot back to it. */
function wayRound(out: Map<string, Arrow[]>, knot: string[]): Arrow[] {
  const start = knot[0];
  const seen = new Set<string>();
  let ways: Arrow[][] = (out.get(start ?? "") ?? []).map((arrow) => [arrow]);
  for (;;) {
    const round = ways.find((way) => way.at(-1)?.to === start);
    if (round !== undefined || ways.length === 0) return round ?? [];
    ways = ways.flatMap((way) => {
      const here = way.at(-1)?.to ?? "";
      if (seen.has(here) || !knot.includes(here)) return [];
      seen.add(here);
      return (out.get(here) ?? []).map((arrow) => [...way, arrow]);
    });
  }
}

/** What a pure file, or what it uses however far away, must not touch. */
const IMPURE_NAMES =
  /^(?:Date|Date\.now|Math|Math\.random|performance\.now|(?:process|crypto|globalThis|console)(?:\..*)?|fetch|setTimeout|setInterval)$/;
const IMPURE_IMPORTS = ["lib/runtime/**", "**/queries.ts", "node:*", "postgres"];

function impure(sources: Source[], { pure, toMend }: Rules): string[] {
  const at = new Map(sources.map((source) => [source.path, source]));
  const means = (path: string) =>
    basename(path) !== "settings.ts" && pure.some((pattern) => fits(pattern, { of: path, file: true }));
  const check = (source: Source, way: string[], seen: Set<string>): string[] => {
    if (seen.has(source.path)) return [];
    seen.add(source.path);
    const told = `${[...way, source.path].join(" -> ")} is to be pure`;
    const names = [...source.names]
      .filter((name) => IMPURE_NAMES.test(name))
      .filter((of) => !toMend.some((mend) => mends(mend, source.path, { of, file: false })))
      .map((name) => `${told}, but says ${name}. Take what it gives as an argument.`);
    const imports = source.imports
      .filter((one) => IMPURE_IMPORTS.some((pattern) => fits(pattern, one)))
      .map(
        (one) => `${told}, but ${tell(source.path, one)}. Take what it gives as an argument, or move what needs it.`,
      );
    const further = source.imports.filter((one) => one.file && !one.typeOnly).flatMap((one) => at.get(one.of) ?? []);
    return [
      ...names,
      ...imports,
      ...further.filter((next) => !means(next.path)).flatMap((next) => check(next, [...way, source.path], seen)),
    ];
  };
  return sources.filter(({ path }) => means(path)).flatMap((source) => check(source, [], new Set()));
}
