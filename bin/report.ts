// npm run report -- NAME: one of the post-mortem reports as a table. Without a name: which there are.
import { system } from "../lib/access/actor.ts";
import { CallerError } from "../lib/errors.ts";
import { findReport, type ListedReport, listReports } from "../lib/reports/all.ts";
import { asArgument, command, WrongUse } from "../lib/terminal/command.ts";
import { showRows } from "../lib/terminal/rows.ts";
import type { ControlPlane } from "../lib/wiring/control-plane.ts";
import { findTarget, onDatabase, STACK_USAGE, stackOption } from "./database.ts";

const usage = `Usage: npm run report -- NAME [--PARAMETER VALUE …] [--json] [--data DIR]

  npm run report                          lists the reports with their parameters
  npm run report -- failed-tasks --days 30
  npm run report -- task-timeline --task-id 0198c5f2-7c1e-7000-8000-0123456789ab --json

--json prints what GET /reports/NAME answers.
${STACK_USAGE}`;

/** Every parameter of any report is an option; the report itself refuses those that it does not take. */
const taken = listReports().flatMap((report) => Object.keys(propertiesOf(report)));
const filters = Object.fromEntries(taken.map((name) => [optionOf(name), { type: "string" } as const]));
const words = process.argv.slice(2).map((word) => word.replace(/^--[a-z_]+/, optionOf));

process.exitCode = await command(
  { usage, options: { ...filters, ...stackOption, json: { type: "boolean", default: false } }, positionals: true, run },
  words,
);

type Given = { values: Record<string, unknown> & { data?: string }; positionals: string[] };

async function run(given: Given): Promise<void> {
  const { json, data, ...values } = given.values;
  const [name, ...more] = given.positionals;
  if (more.length > 0) throw new WrongUse(`One report at a time, not also ${more.join(" ")}.`);
  if (name !== undefined) {
    const asked = Object.entries(values).map(([option, value]) => [option.replaceAll("-", "_"), value]);
    await ask(name, Object.fromEntries(asked), json === true, data);
  } else if (json === true || Object.keys(values).length > 0) {
    throw new WrongUse("Name the report first.");
  } else {
    console.log(`${usage}\n\n${listReports().map(describe).join("\n\n")}`);
  }
}

/** Prints what a report answers. */
async function ask(
  name: string,
  parameters: Record<string, unknown>,
  json: boolean,
  data: string | undefined,
): Promise<void> {
  const report = asArgument(() => findReport(name));
  const read = async ({ db }: ControlPlane) => await report.run(db, system("report"), parameters);
  const answered = await onDatabase(read, findTarget(data)).catch((error: unknown) => {
    // 400: the parameters are not those of the report. 404: they are, and nothing is there.
    throw error instanceof CallerError && error.status === 400 ? new WrongUse(error.message) : error;
  });
  const answer = { report: name, ...answered };
  console.log(json ? JSON.stringify(answer, null, 2) : tell(answer));
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
  next_cursor?: string | null;
}): string {
  const { report, parameters, truncated, rows, next_cursor } = answer;
  const asked = Object.entries(parameters).map(([name, value]) => `${optionOf(name)} ${String(value)}`);
  return [
    findReport(report).title,
    [...asked, "times in UTC"].join(", "),
    "",
    rows.length === 0 ? "No rows." : showRows(rows, process.stdout.isTTY ? process.stdout.columns : undefined),
    ...(truncated
      ? ["", `There are more rows: ${next_cursor == null ? "raise --limit" : `add --cursor ${next_cursor}`}.`]
      : []),
  ].join("\n");
}
