import { dirname } from "node:path/posix";
import type { Source } from "./source.ts";
import { isDynamic, type Use, usesOf } from "./sql.ts";
import type { Guest, Owned } from "./tables.ts";

/** What the SQL is held to. */
export type TableRules = {
  tables: Record<string, Owned>;
  readsAll: string;
  dynamic: Record<string, { tables: string[]; because: string }>;
  toMend: Record<string, Guest[]>;
};

type Told = Use & { path: string; line: number };

const TABLE = "tests/boundaries/tables.ts";

/** Everything in the SQL of lib/, and in the table of tables, that is against the rules, a sentence each; empty where all is well. */
export function tableFaults(sources: Source[], schema: string[], rules: TableRules): string[] {
  const statements = sources
    .filter(({ path }) => path.startsWith("lib/"))
    .flatMap(({ path, statements: own }) => own.map((statement) => ({ path, ...statement })));
  const uses = statements.flatMap(({ path, line, sql }) => usesOf(sql, schema).map((use) => ({ ...use, path, line })));
  const dynamic = statements.filter(({ sql }) => isDynamic(sql));
  const { tables } = rules;
  return [
    ...schema.filter((name) => !(name in tables)).map((name) => `${name} has no owner. Name one in ${TABLE}.`),
    ...Object.keys(tables)
      .filter((name) => !schema.includes(name))
      .map((name) => `${name} is no table of migrations/schema.sql. Take it out of ${TABLE}.`),
    ...uses.flatMap((use) => refusal(use, rules)),
    ...dynamic
      .filter(({ path }) => !(path in rules.dynamic))
      .map(
        ({ path, line }) =>
          `${path}:${line} names a table that only a run knows. Write its name, or list the file in DYNAMIC.`,
      ),
    ...dynamicFaults(rules, new Set(dynamic.map(({ path }) => path))),
    ...entries(rules)
      .filter((entry) => !isUsed(entry, uses))
      .map(
        ({ table, who, does }) => `${who} does not ${does} ${table} any more, as ${TABLE} has it. Take the entry out.`,
      ),
  ];
}

function dynamicFaults({ dynamic, tables }: TableRules, found: Set<string>): string[] {
  return Object.entries(dynamic).flatMap(([path, { tables: named }]) => [
    ...named
      .filter((name) => !isIn(path, tables[name]?.owner ?? "") && tables[name]?.months !== path)
      .map((name) => `${path} in DYNAMIC may name ${name}, which is not its room's.`),
    ...(found.has(path) ? [] : [`${path} in DYNAMIC names no such table any more. Take it out.`]),
  ]);
}

/** What the entry of a guest allows. */
type Entry = { table: string; who: string; does: "read" | "write"; columns: string[] };

function entries({ tables, toMend }: TableRules): Entry[] {
  const all = [
    ...Object.entries(tables).map(([table, { others = [] }]) => [table, others] as const),
    ...Object.entries(toMend),
  ];
  return all.flatMap(([table, guests]) =>
    guests.map(([who, does]) => ({
      table,
      who,
      does: does === "read" ? "read" : "write",
      columns: does.split(/[ ,]+/).slice(1),
    })),
  );
}

/** An entry is used where its folder does what it allows; one with columns, where each of them is set. */
function isUsed({ table, who, does, columns }: Entry, uses: Told[]): boolean {
  const own = uses.filter((use) => use.table === table && use.does === does && dirname(use.path) === who);
  return own.length > 0 && columns.every((column) => own.some((use) => use.columns.includes(column)));
}

function refusal(use: Told, rules: TableRules): string[] {
  const { path, line, table, does, columns } = use;
  const folder = dirname(path);
  const owner = rules.tables[table]?.owner;
  if (owner === undefined || isIn(path, owner) || (does === "read" && isIn(path, rules.readsAll))) return [];
  if (entries(rules).some((entry) => entry.table === table && entry.who === folder && allows(entry, use))) return [];
  const what = columns.length === 0 ? table : `${columns.join(", ")} of ${table}`;
  return [
    `${path}:${line} ${does}s ${what}, which ${owner} owns. Ask that room, or give ${folder} an entry with its reason in ${TABLE}.`,
  ];
}

function allows({ does, columns }: Entry, use: Use): boolean {
  if (use.does === "read" || does === "read") return use.does === "read";
  return columns.length === 0 || (use.columns.length > 0 && use.columns.every((column) => columns.includes(column)));
}

function isIn(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`);
}
