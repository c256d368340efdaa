import { styleText } from "node:util";
import { showDuration, showRows } from "../../lib/terminal/rows.ts";
import { align, cut } from "../../lib/terminal/table.ts";
import type { LoggedStep, TaskWithSteps } from "../../lib/work/core/answers.ts";

/** A status in its colour. */
export function showStatus(status: string): string {
  if (status === "completed") return styleText("green", status);
  return status === "failed" ? styleText("red", status) : styleText("yellow", status);
}

/** A heading with air around it. */
export function heading(text: string): string {
  return `\n${styleText("bold", text)}`;
}

const TITLES = ["step", "agent", "action", "duration", "status", "result"];

/** What happened to one piece of work, step by step. */
export function timeline(name: string, task: TaskWithSteps): string {
  const took = Date.parse(task.completed_at ?? task.created_at) - Date.parse(task.created_at);
  const title = `${styleText("bold", name)}  ${showStatus(task.status)} ${styleText("dim", `in ${showDuration(took)}, submitted to finished`)}`;
  const rows = task.steps.map((step) => [
    String(step.step_number),
    step.agent_type,
    cut(step.action, 36),
    step.duration_ms === null ? "" : showDuration(step.duration_ms),
    showStatus(step.status),
    styleText("dim", resultOf(step)),
  ]);
  return [title, ...indented(align([TITLES.map((text) => styleText("dim", text)), ...rows]))].join("\n");
}

function resultOf({ output_summary, output_size_bytes }: LoggedStep): string {
  const said = cut(output_summary?.trim().split("\n").at(-1) ?? "", 40);
  return output_size_bytes > 100_000 ? `${(output_size_bytes / 1e6).toFixed(2)} MB of output` : said;
}

/** What a terminal shows without breaking lines. */
const WIDTH = 110;

/** The rows of a report as `npm run report` shows them. */
export function reportTable(rows: Record<string, unknown>[]): string {
  return indented(showRows(rows, WIDTH).split("\n")).join("\n");
}

function indented(lines: string[]): string[] {
  return lines.map((line) => `  ${line}`.trimEnd());
}
