import type { Task, TaskSummary } from "../core/answers.ts";
import type { TaskRow } from "../core/task-row.ts";

/** A whole row as callers see it: snake_case names, times as ISO 8601. Only column names change, never keys inside JSON. */
export function toTask(row: TaskRow): Task {
  return toWire(row) as Task;
}

/** A row of a list as callers see it, as toTask does. */
export function toSummary(row: TaskRow): TaskSummary {
  return toWire(row) as TaskSummary;
}

/** Renames a row's columns for the wire (camelCase to snake_case) and turns its times into ISO 8601; all else stays as it is. */
export function toWire(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value instanceof Date ? value.toISOString() : value,
    ]),
  );
}
