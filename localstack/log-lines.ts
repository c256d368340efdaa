import { styleText } from "node:util";

/** Events that say nothing to one who watches: they are in the log files. */
const QUIET = new Set([
  "request answered",
  "request refused",
  "batch handled",
  "swept",
  "database to migrate",
  "database migrated",
]);

type LogLine = { time: string; level: string; event: string } & Record<string, unknown>;

/** One line of a structured log as one reads it at a desk, or undefined where it is better left to the log file. */
export function readable(source: string, line: string): string | undefined {
  const entry = parse(line);
  if (entry === undefined) return undefined;
  const { time, level, event, ...fields } = entry;
  // Metrics, which CloudWatch reads out of the log whatever its level; here they would push all else off the screen.
  if ("_aws" in fields) return undefined;
  if (level === "debug" || (level === "info" && QUIET.has(event))) return undefined;
  const what = event.padEnd(18);
  const painted = level === "error" ? styleText("red", what) : level === "warn" ? styleText("yellow", what) : what;
  const shown = Object.entries(fields).flatMap(([name, value]) => showField(name, value));
  const clock = new Date(time).toTimeString().slice(0, 8);
  return [styleText("dim", clock), styleText("dim", source.padEnd(9)), painted, styleText("dim", shown.join("  "))]
    .join(" ")
    .trimEnd();
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
