/** What a statement does to one table. */
export type Use = {
  table: string;
  does: "read" | "write";
  /** What an update sets; empty where it is a read, an insert or a delete. */
  columns: string[];
};

const WRITE =
  /\b(?:insert into|update(?: only)?|delete from(?: only)?|merge into|truncate|lock table|alter table|drop table|create table)$/;

/** The tables that the dump of the schema creates, without their partitions. */
export function tablesOf(schema: string): string[] {
  return Array.from(schema.matchAll(/^create table (\w+) \(/gm), ([, name]) => name as string);
}

/**
 * What a statement does to the tables of the schema, a use for each time it names one. A name counts wherever it stands,
 * unless it is a column (`x.tasks`), an alias or a query of the statement's own (`with tasks as (`); a comment or a text names
 * nothing. The rows that `for update` locks count as read.
 */
export function usesOf(sql: string, tables: string[]): Use[] {
  const bare = sql.replaceAll(/--.*|'[^']*'/g, "").replaceAll(/\s+/g, " ");
  const own = Array.from(
    bare.matchAll(/(?:with(?: recursive)?|,) (\w+)(?: \([\w, ]+\))? as (?:materialized )?\(/g),
    ([, name]) => name,
  );
  return Array.from(bare.matchAll(/(?<![\w.])([a-z_]+)(?!\w)/g)).flatMap((found): Use[] => {
    const table = found[1] as string;
    if (!tables.includes(table) || own.includes(table)) return [];
    const before = bare.slice(Math.max(0, found.index - 40), found.index).trimEnd();
    if (/\bas$/.test(before)) return [];
    const write = WRITE.exec(before)?.[0];
    const columns = write?.startsWith("update") === true ? columnsSet(bare.slice(found.index)) : [];
    return [{ table, does: write === undefined ? "read" : "write", columns }];
  });
}

/** Whether a table's name is not in the text of the statement, but only known when it runs. */
export function isDynamic(sql: string): boolean {
  return /(?<!epoch |distinct )\b(?:from|join|into|update|using|table|partition)\s+(?:only\s+)?\$/.test(sql);
}

/** The columns of `T set a = …, b = (…)`, up to what follows the list. */
function columnsSet(update: string): string[] {
  let depth = 0;
  let list = "";
  for (const part of update.slice(update.indexOf(" set ") + 4).split(/(?=[()])|\b(?=from\b|where\b|returning\b)/)) {
    if (part.startsWith("(")) depth++;
    if (part.startsWith(")")) depth--;
    if (depth < 0 || (depth === 0 && /^(?:from|where|returning)\b/.test(part))) break;
    if (depth === 0) list += part.replace(/^\)/, "");
  }
  return list.split(",").map((item) => /^ ?(\w+) = /.exec(item)?.[1] ?? "what only a run knows");
}
