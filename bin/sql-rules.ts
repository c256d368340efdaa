import { bareSql } from "../lib/migrations/bare-sql.ts";

type Rule = { finds: RegExp; unless?: RegExp; message: string };

// `unless` is matched against what stands before the find.
const RULES: Rule[] = [
  {
    finds: /\b(primary\s+key|unique|check|references|foreign\s+key|exclude)\b/gi,
    unless: /\bconstraint\s+\w+\s+$|\bforeign\s+key\s*\([^)]*\)\s*$|\bcreate\s+$|\bwith\s+$/i,
    message: "has no name. Write: constraint table_what … before it.",
  },
  {
    finds: /\bcreate\s+(unique\s+)?index\s+(if\s+not\s+exists\s+)?on\b/gi,
    message: "has no name. Write: create index if not exists table_what_idx on …",
  },
  {
    finds:
      /\bcreate\s+(table|(unique\s+)?index|sequence|schema|extension|materialized\s+view)\s+(?!if\s+not\s+exists\b)/gi,
    message: "fails where it exists already. Write: … if not exists.",
  },
  {
    finds: /\bcreate\s+(function|procedure|trigger|view)\b/gi,
    message: "fails where it exists already. Write: create or replace …",
  },
  {
    finds: /\bcreate\s+type\b/gi,
    message:
      "fails where it exists already. Write: do $$ begin create type … exception when duplicate_object then null; end $$;",
  },
  {
    finds: /\badd\s+column\s+(?!if\s+not\s+exists\b)/gi,
    message: "fails where it exists already. Write: add column if not exists.",
  },
  {
    finds:
      /\bdrop\s+(table|index|type|sequence|schema|function|procedure|trigger|view|column|constraint|materialized\s+view)\s+(?!if\s+exists\b)/gi,
    message: "fails where it is gone already. Write: … if exists.",
  },
  {
    finds: /\bdrop\s+extension\b/gi,
    message: "takes it from everybody in this database. Leave extensions where they are.",
  },
  {
    finds: /\bconcurrently\b/gi,
    message: "cannot run in a transaction. Build that index by hand before the migration.",
  },
];

/** What a migration's SQL does against the rules of this project, as line and message. */
export function sqlFaults(sql: string): { line: number; message: string }[] {
  const bare = bareSql(sql);
  return RULES.flatMap(({ finds, unless, message }) =>
    [...bare.matchAll(finds)]
      .filter(({ index }) => unless === undefined || !unless.test(bare.slice(0, index)))
      .map((match) => {
        const line = bare.slice(0, match.index).split("\n").length;
        return { line, message: `${match[0].trim().replaceAll(/\s+/g, " ")} ${message}` };
      }),
  ).toSorted((a, b) => a.line - b.line);
}

/** The gaps in the numbers of migrations that are named NNNN_name, in order. */
export function numberingFaults(names: string[]): string[] {
  return names
    .flatMap((name, index) => {
      const number = String(index + 1).padStart(4, "0");
      return name.startsWith(`${number}_`) ? [] : [`${name} should have the number ${number}. Number without gaps.`];
    })
    .slice(0, 1);
}
