// npm run sql: the migrations against the rules of this project, and against squawk's where squawk is installed.
import { spawnSync } from "node:child_process";
import { basename, join } from "node:path";
import { readMigrations } from "../lib/migrations/files.ts";
import { command } from "../lib/terminal/command.ts";
import { numberingFaults, sqlFaults } from "./sql-rules.ts";

/** Taking away is what a down file is for. */
const DOWN_MAY = [
  "ban-drop-table",
  "ban-drop-column",
  "require-concurrent-index-deletion",
  // What the column was before: the rows that do not fit are made to first.
  "adding-not-nullable-field",
];
/**
 * What was looked at and let be. A migration that is out cannot have squawk's own comments any more: its checksum is in the ledgers.
 * Before the first release nobody's tables were large (0006); the outbox is nearly empty at all times (0009).
 */
const LET_BE: Readonly<Record<string, readonly string[]>> = {
  "0006_routing.up.sql": ["ban-drop-not-null", "constraint-missing-not-valid", "require-concurrent-index-deletion"],
  "0009_sweep.up.sql": ["constraint-missing-not-valid", "require-concurrent-index-deletion"],
};
const dir = process.env["MIGRATIONS_DIR"] || "migrations";

const usage = `Usage: npm run sql

Prints each fault of the migrations as file:line: message, and exits 1 where there is one. Environment: MIGRATIONS_DIR (./migrations).`;

process.exitCode = await command({
  usage,
  run: async () => {
    const faults = [...ownFaults(), ...squawkFaults()];
    for (const fault of faults) console.error(fault);
    return faults.length > 0 ? 1 : 0;
  },
});

function ownFaults(): string[] {
  const migrations = readMigrations(dir);
  return [
    ...numberingFaults(migrations.map(({ name }) => name)),
    ...migrations.flatMap(({ name, up, down }) =>
      Object.entries({ up, down }).flatMap(([way, sql]) =>
        sqlFaults(sql).map(({ line, message }) => `${join(dir, `${name}.${way}.sql`)}:${line}: ${message}`),
      ),
    ),
  ];
}

type Finding = { file: string; line: number; message: string; help: string | null; rule_name: string };

function squawkFaults(): string[] {
  const { stdout, stderr, error } = spawnSync("squawk", ["--reporter", "json", join(dir, "*.sql")], {
    encoding: "utf8",
    shell: false,
  });
  const findings = error === undefined ? parseFindings(stdout) : undefined;
  if (findings === undefined) {
    const reason = error === undefined ? `it said: ${stderr.trim().split("\n")[0]}` : "it is not installed";
    console.log(`squawk was skipped: ${reason}. Install it with: npm install --global squawk-cli@2.66.0`);
    return [];
  }
  return findings
    .filter(({ file, rule_name }) => !(file.endsWith(".down.sql") && DOWN_MAY.includes(rule_name)))
    .filter(({ file, rule_name }) => LET_BE[basename(file)]?.includes(rule_name) !== true)
    .filter(({ file }) => !file.endsWith("schema.sql"))
    .map(({ file, line, message, help, rule_name }) => `${file}:${line + 1}: ${message} ${help ?? ""} (${rule_name})`);
}

function parseFindings(json: string): Finding[] | undefined {
  try {
    return JSON.parse(json) as Finding[];
  } catch {
    return undefined;
  }
}
