import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, MigrationFault } from "../errors.ts";
import { bareSql } from "./bare-sql.ts";

/** One step of the schema, as its two files have it. `checksum` is the SHA-256 of both. */
export type Migration = { name: string; up: string; down: string; checksum: string };

const FILE = /^((\d{4})_[a-z0-9_]+)\.(up|down)\.sql$/;

/**
 * Reads migrations/NNNN_name.{up,down}.sql in the order of their numbers. Throws, with what to do, where the folder has none,
 * where two have one number, where an up has no down (or a down no up), and where a file would end the transaction
 * that it runs in.
 */
export function readMigrations(dir: string): Migration[] {
  const files = sqlFilesOf(dir);
  const named = files.filter((file) => FILE.test(file));
  const faults = [...namingFaults(files), ...numberFaults(named), ...pairFaults(named)];
  const migrations = faults.length > 0 ? [] : names(named).map((name) => readMigration(dir, name));
  faults.push(...migrations.flatMap(transactionFaults));
  if (faults.length > 0) throw new MigrationFault(faults);
  return migrations;
}

function sqlFilesOf(dir: string): string[] {
  const todo = "Set MIGRATIONS_DIR to the folder of the NNNN_name.up.sql files, or start where ./migrations is.";
  let files: string[];
  try {
    files = readdirSync(dir);
  } catch (cause) {
    throw new ConfigError(`The migrations folder ${dir} cannot be read. ${todo}`, { cause });
  }
  const sql = files.filter((file) => file.endsWith(".sql") && file !== "schema.sql").toSorted();
  if (sql.length === 0) throw new ConfigError(`The folder ${dir} holds no migrations. ${todo}`);
  return sql;
}

function names(files: string[]): string[] {
  return [...new Set(files.map((file) => file.replace(/\.(up|down)\.sql$/, "")))];
}

function namingFaults(files: string[]): string[] {
  return files
    .filter((file) => !FILE.test(file) || file.startsWith("0000"))
    .map(
      (file) => `${file} is not named like a migration. Rename it to NNNN_lower_case.up.sql or .down.sql, from 0001.`,
    );
}

function numberFaults(files: string[]): string[] {
  const byNumber = Map.groupBy(names(files), (name) => name.slice(0, 4));
  return [...byNumber]
    .filter(([, same]) => same.length > 1)
    .map(([number, same]) => `${same.join(" and ")} have one number, ${number}. Renumber the newer one.`);
}

function pairFaults(files: string[]): string[] {
  return files.flatMap((file) => {
    const other = file.endsWith(".up.sql")
      ? file.replace(/up\.sql$/, "down.sql")
      : file.replace(/down\.sql$/, "up.sql");
    return files.includes(other) ? [] : [`${file} has no ${other}. Write it; every migration goes both ways.`];
  });
}

function readMigration(dir: string, name: string): Migration {
  // With the line ends of this repository, so that a checkout on Windows has the same checksum.
  const [up = "", down = ""] = ["up", "down"].map((way) =>
    readFileSync(join(dir, `${name}.${way}.sql`), "utf8").replaceAll("\r\n", "\n"),
  );
  return { name, up, down, checksum: createHash("sha256").update(`${up}\0${down}`).digest("hex") };
}

function transactionFaults({ name, up, down }: Migration): string[] {
  const ends = /(^|;)\s*(begin|start\s+transaction|commit|rollback|abort|savepoint|release)\b/i;
  return Object.entries({ up, down })
    .filter(([, sql]) => ends.test(bareSql(sql)))
    .map(
      ([way]) => `${name}.${way}.sql begins or ends a transaction. Take that out: it runs in one with its ledger row.`,
    );
}
