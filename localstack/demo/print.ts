import { styleText } from "node:util";
import { align, cut, lengthOf } from "../../lib/terminal/table.ts";
import type { LoggedStep, TaskWithSteps } from "../../lib/work/core/answers.ts";

/** A status in its colour. */
export function showStatus(status: string): string {
  if (status === "completed") return styleText("green", status);
  return status === "failed" ? styleText("red", status) : styleText("yellow", status);
}

/** Milliseconds as one reads them: 84 ms, 1.26 s. */
export function showDuration(ms: number | null): string {
  if (ms === null) return "";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** A heading with air around it. */
export function heading(text: string): string {
  return `\n${styleText("bold", text)}`;
}

/** What happened to one piece of work, step by step. */
export function timeline(name: string, task: TaskWithSteps): string {
  const took = Date.parse(task.completed_at ?? task.created_at) - Date.parse(task.created_at);
  const title = `${styleText("bold", name)}  ${showStatus(task.status)} ${styleText("dim", `in ${showDuration(took)}, submitted to finished`)}`;
  const rows = task.steps.map((step) => [
    String(step.step_number),
    step.agent_type,
    cut(step.action, 36),
    showDuration(step.duration_ms),
    showStatus(step.status),
    styleText("dim", resultOf(step)),
  ]);
  return [
    title,
    ...table([
      ["step", "agent", "action", "duration", "status", "result"].map((text) => styleText("dim", text)),
      ...rows,
    ]),
  ].join("\n");
}

function resultOf({ output_summary, output_size_bytes }: LoggedStep): string {
  const said = cut(output_summary?.trim().split("\n").at(-1) ?? "", 40);
  return output_size_bytes > 100_000 ? `${(output_size_bytes / 1e6).toFixed(2)} MB of output` : said;
}

/** What a terminal shows without breaking lines. */
const WIDTH = 110;

/** The rows of a report under the names of its columns; a wide one turned, a line for each column. */
export function reportTable(rows: Record<string, unknown>[]): string {
  const names = Object.keys(rows[0] ?? {});
  const cells = rows.map((row) => names.map((name) => cut(showCell(row[name]), 40)));
  const upright = table([names.map((text) => styleText("dim", text)), ...cells]);
  if (Math.max(...upright.map(lengthOf)) <= WIDTH) return upright.join("\n");
  return table(names.map((name, i) => [styleText("dim", name), ...cells.map((row) => row[i] ?? "")])).join("\n");
}

function showCell(value: unknown): string {
  if (value === null || value === undefined) return "-";
  if (typeof value === "number") return String(Math.round(value * 1000) / 1000);
  return typeof value === "string" ? value : JSON.stringify(value);
}

function table(rows: string[][]): string[] {
  return align(rows).map((line) => `  ${line}`.trimEnd());
}
