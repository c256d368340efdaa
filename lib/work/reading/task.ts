import type { Task, TaskSummary } from "../core/answers.ts";
import type { TaskRow } from "../core/task-row.ts";
import { toWire } from "../core/wire.ts";

/** A whole row as callers see it: snake_case names, times as ISO 8601. Only column names change, never keys inside JSON. */
export function toTask(row: TaskRow): Task {
  return toWire(row) as Task;
}

/** A row of a list as callers see it, as toTask does. */
export function toSummary(row: TaskRow): TaskSummary {
  return toWire(row) as TaskSummary;
}
