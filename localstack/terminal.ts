import { styleText } from "node:util";

// Coloured where stdout is a terminal that was not told otherwise (NO_COLOR, TERM=dumb).
export const bold = (text: string): string => styleText("bold", text);
export const dim = (text: string): string => styleText("dim", text);
export const red = (text: string): string => styleText("red", text);
export const green = (text: string): string => styleText("green", text);
export const yellow = (text: string): string => styleText("yellow", text);
export const cyan = (text: string): string => styleText("cyan", text);

/** Events that say nothing to one who watches: they are in the log files. */
const QUIET = new Set(["request answered", "request refused", "batch handled", "swept", "database migrated"]);

type LogLine = { time: string; level: string; event: string } & Record<string, unknown>;

/** One line of a structured log as one reads it at a desk, or undefined where it is better left to the log file. */
export function readable(source: string, line: string): string | undefined {
  const entry = parse(line);
  if (entry === undefined) return undefined;
  const { time, level, event, ...fields } = entry;
  if (level === "debug" || (level === "info" && QUIET.has(event))) return undefined;
  const paint = level === "error" ? red : level === "warn" ? yellow : (text: string) => text;
  const shown = Object.entries(fields).flatMap(([name, value]) => showField(name, value));
  const clock = new Date(time).toTimeString().slice(0, 8);
  return [dim(clock), dim(source.padEnd(9)), paint(event.padEnd(18)), dim(shown.join("  "))].join(" ").trimEnd();
}

function parse(line: string): LogLine | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const value = JSON.parse(line) as Partial<LogLine>;
    return typeof value.event === "string" && typeof value.time === "string" ? (value as LogLine) : undefined;
  } catch {
    return undefined;
  }
}

function showField(name: string, value: unknown): string[] {
  if (value === null || value === undefined || name === "trace_id") return [];
  if (name === "error") return [`error: ${(value as { message?: string }).message ?? JSON.stringify(value)}`];
  return [`${name}=${typeof value === "string" ? value : JSON.stringify(value)}`];
}
