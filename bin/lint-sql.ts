// npm run sql: the migrations against the rules of this project, and against squawk's where squawk is installed.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { readMigrations } from "../lib/migrations/files.ts";
import { command } from "../lib/terminal/command.ts";
import { numberingFaults, sqlFaults } from "./sql-rules.ts";

/** Taking away is what a down file is for. */
const DOWN_MAY = ["ban-drop-table", "ban-drop-column"];
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
