// npm run report -- NAME: one of the post-mortem reports as a table. Without a name: which there are.

import { parseArgs } from "node:util";
import { system } from "../lib/access/actor.ts";
import { CallerError } from "../lib/errors.ts";
import { findReport, type ListedReport, listReports } from "../lib/reports/all.ts";
import { onDatabase } from "./database.ts";
import { showRows } from "./table.ts";

const USAGE = `Usage: npm run report -- NAME [--PARAMETER VALUE …] [--json]

  npm run report                          lists the reports with their parameters
  npm run report -- failed-tasks --days 30
  npm run report -- task-timeline --task-id 0198c5f2-7c1e-7000-8000-0123456789ab --json

--json prints what GET /reports/NAME answers. Environment: DATABASE_URL.`;

process.exitCode = await main(process.argv.slice(2));

async function main(given: string[]): Promise<number> {
  let asked: ReturnType<typeof readArguments>;
  try {
    asked = readArguments(given);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 1;
  }
  const { name, json, help, parameters } = asked;
  if (help || name === undefined) {
    console.log(help ? USAGE : `${USAGE}\n\n${listReports().map(describe).join("\n\n")}`);
    return 0;
  }
  return await onDatabase(async (db) => {
    const answer = { report: name, ...(await findReport(name).run(db, system("report"), parameters)) };
    console.log(json ? JSON.stringify(answer, null, 2) : tell(answer));
  });
}

/** Every parameter of any report is an option; the report itself refuses those that it does not take. */
function readArguments(given: string[]) {
  const flags = { json: { type: "boolean" }, help: { type: "boolean", short: "h" } } as const;
  const taken = listReports().flatMap((report) => Object.keys(propertiesOf(report)));
  const options = Object.fromEntries(taken.map((name) => [optionOf(name), { type: "string" } as const]));
  const args = given.map((word) => word.replace(/^--[a-z_]+/, optionOf));
  const { values, positionals } = parseArgs({ args, options: { ...options, ...flags }, allowPositionals: true });
  const { json = false, help = false, ...rest } = values as { json?: boolean; help?: boolean } & Record<string, string>;
  const [name, ...more] = positionals;
  if (more.length > 0) throw new CallerError(400, "invalid_input", `One report at a time, not also ${more.join(" ")}.`);
  if (name === undefined && (json || Object.keys(rest).length > 0)) {
    throw new CallerError(400, "invalid_input", "Name the report first.");
  }
  const parameters = Object.fromEntries(
    Object.entries(rest).map(([option, value]) => [option.replaceAll("-", "_"), value]),
  );
  return { name, json, help, parameters };
}

function optionOf(name: string): string {
  return name.replaceAll("_", "-");
}

type Property = {
  type?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
  default?: string | number;
  description?: string;
};

function propertiesOf({ parameters }: ListedReport): Record<string, Property> {
  return (parameters["properties"] ?? {}) as Record<string, Property>;
}

function describe(report: ListedReport): string {
  const parameters = Object.entries(propertiesOf(report)).map(([name, property]) => {
    const range = property.minimum === undefined ? [] : [`${property.minimum} to ${property.maximum}`];
    const otherwise = property.default === undefined ? "required" : `default ${property.default}`;
    return `    --${optionOf(name)}  ${property.description} (${[...range, otherwise].join(", ")})`;
  });
  return [`${report.name}\n    ${report.title}`, ...parameters].join("\n");
}

function tell(answer: {
  report: string;
  parameters: object;
  truncated: boolean;
  rows: Record<string, unknown>[];
}): string {
  const { report, parameters, truncated, rows } = answer;
  const asked = Object.entries(parameters).map(([name, value]) => `${optionOf(name)} ${String(value)}`);
  return [
    findReport(report).title,
    [...asked, "times in UTC"].join(", "),
    "",
    rows.length === 0 ? "No rows." : showRows(rows, process.stdout.isTTY ? process.stdout.columns : undefined),
    ...(truncated ? ["", `There are more rows: raise --limit.`] : []),
  ].join("\n");
}
