import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { migrate } from "../lib/migrations/migrator.ts";
import { freePort } from "../localstack/parts/ports.ts";
import { startPostgres } from "../localstack/parts/postgres.ts";
import { type Catalog, readCatalog, type Table } from "./catalog.ts";

const HEADER = `-- The schema that the migrations make, read back from Postgres. For reading and reviewing: npm run generate writes it,
-- npm run generated compares it, npm run migrate is what makes it.
`;

/** migrations/schema.sql: what the migrations make of an empty database on a Postgres that is started for it. */
export async function makeSchemaSql(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "waybill-schema-"));
  try {
    const server = await startPostgres({ dataDir: join(dir, "postgres"), port: await freePort(), durable: false });
    try {
      await migrate({ command: "up" }, { DATABASE_URL: server.url("postgres") });
      const db = postgres(server.url("postgres"), { max: 1, onnotice: () => {} });
      const dump = await dumpSchema(db);
      await db.end();
      return HEADER + dump;
    } finally {
      await server.stop();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/**
 * The schema of a database as DDL that makes it again, the same text on Postgres 15 to 18 and whatever the order in which
 * it was made; empty for an empty schema. Throws where the schema has something that it cannot write.
 */
export async function dumpSchema(db: postgres.Sql): Promise<string> {
  return write(await readCatalog(db));
}

function write(catalog: Catalog): string {
  const { tables, late } = inOrder(catalog.tables);
  const paragraphs = [
    ...catalog.extensions.map((name) => `create extension if not exists ${name};`),
    ...catalog.enums.map(({ name, labels, comment }) =>
      lines(`create type ${name} as enum (${labels.join(", ")});`, commentOn(`type ${name}`, comment)),
    ),
    ...catalog.functions.map(({ name, definition, comment }) =>
      lines(`${definition.trim()};`, commentOn(`function ${name}`, comment)),
    ),
    ...tables.map(writeTable),
    lines(
      ...late.flatMap(({ table, name, definition, comment }) => [
        `alter table ${table} add constraint ${name} ${definition};`,
        commentOn(`constraint ${name} on ${table}`, comment),
      ]),
    ),
    // Behind all tables, since a policy may look into another one.
    ...tables.map(({ access }) => lines(...access.map((statement) => `${statement};`))),
  ];
  return paragraphs
    .filter((text) => text !== "")
    .map((text) => `\n${text}\n`)
    .join("");
}

type Constraint = Table["constraints"][number];
type Late = Constraint & { table: string };

/** Each table after those that it refers to; where they refer to each other, the foreign key comes late. */
function inOrder(all: Table[]): { tables: Table[]; late: Late[] } {
  const waiting = [...all];
  const tables: Table[] = [];
  const late: Late[] = [];
  while (waiting.length > 0) {
    const isWaiting = (name: string | null) => waiting.some((table) => table.name === name);
    // In create table "not valid" would be forgotten: there are no rows that it could be invalid for.
    const isEarly = ({ refersTo, definition }: Constraint) =>
      !isWaiting(refersTo) && !definition.endsWith(" not valid");
    const free = (table: Table) => table.needs.every((name) => name === table.name || !isWaiting(name));
    const next = Math.max(0, waiting.findIndex(free));
    for (const table of waiting.splice(next, 1)) {
      const early = table.constraints.filter(isEarly);
      late.push(
        ...table.constraints
          .filter((constraint) => !early.includes(constraint))
          .map((constraint) => ({ ...constraint, table: table.name })),
      );
      tables.push({ ...table, constraints: early });
    }
  }
  return { tables, late };
}

function writeTable(table: Table): string {
  const { name, columns, constraints, partitionOf, partitionBy, options } = table;
  const parts = [
    ...(partitionOf === null ? columns.map(({ definition }) => `  ${definition}`) : []),
    ...constraints.map((constraint) => fold(`  constraint ${constraint.name} ${constraint.definition}`)),
  ];
  const head = partitionOf === null ? `create table ${name}` : `create table ${name} partition of ${partitionOf}`;
  const body = parts.length === 0 ? "" : ` (\n${parts.join(",\n")}\n)`;
  const tail = [table.bound, partitionBy, options].filter((text) => text !== null).map((text) => ` ${text}`);
  return lines(
    `${head}${body}${tail.join("")};`,
    commentOn(`table ${name}`, table.comment),
    ...columns.map((column) => commentOn(`column ${name}.${column.name}`, column.comment)),
    ...columns.flatMap(({ settings }) => settings.map((setting) => `alter table ${name} alter column ${setting};`)),
    ...constraints.map((constraint) => commentOn(`constraint ${constraint.name} on ${name}`, constraint.comment)),
    ...table.indexes.flatMap((index) => [`${index.definition};`, commentOn(`index ${index.name}`, index.comment)]),
    ...table.triggers.flatMap((trigger) => [
      `${trigger.definition};`,
      commentOn(`trigger ${trigger.name} on ${name}`, trigger.comment),
    ]),
  );
}

/** A long check on lines of its own, a case on several. */
function fold(line: string): string {
  const check = /^(.* check \()(.*)(\))$/.exec(line);
  if (line.length <= 118 || check === null) return line;
  const inner = (check[2] ?? "").trim();
  const cased = inner.startsWith("case ")
    ? inner.replaceAll(/ (when|else) /g, "\n      $1 ").replace(/ end$/, "\n    end")
    : inner;
  return `${check[1]}\n    ${cased}\n  ${check[3]}`;
}

function commentOn(object: string, quoted: string | null): string {
  return quoted === null ? "" : `comment on ${object} is ${quoted};`;
}

function lines(...all: string[]): string {
  return all.filter((line) => line !== "").join("\n");
}
