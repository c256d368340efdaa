import { styleText } from "node:util";
import { showRows } from "../lib/terminal/rows.ts";

/** What a command has to tell: on stdout what was asked for, as text or as JSON, and on stderr what a person should know of it. */
export type Told = {
  /** What --json prints. */
  data: unknown;
  /** What stdout gets without it; nothing where it is empty. */
  text: string;
  note?: string;
};

type Row = Record<string, unknown>;

/** Rows as a table, or these words where there are none. */
export function asTable(rows: readonly Row[], none: string): Pick<Told, "text" | "note"> {
  if (rows.length === 0) return { text: "", note: none };
  return { text: showRows(rows, process.stdout.isTTY ? process.stdout.columns : undefined) };
}

/** Prints it. */
export function print({ data, text, note }: Told, json: boolean): void {
  if (json) process.stdout.write(`${JSON.stringify(data, null, 2)}\n`);
  else if (text !== "") process.stdout.write(`${text}\n`);
  if (note !== undefined) say(styleText("dim", note, { stream: process.stderr }));
}

/** Tells what went wrong. */
export function complain(message: string): void {
  say(styleText("red", message, { stream: process.stderr }));
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
