import { bytesInAnswer } from "../../input/answer-bytes.ts";
import type { Task, TaskSummary } from "../core/answers.ts";
import type { TaskRow } from "../core/task-row.ts";
import { toWire } from "../core/wire.ts";

/** What a piece of work may take of an answer of 6 MB; the rest is for what happened to it. */
const TASK_BYTES = 5_000_000;

/** What callers and agents make as large as they like, and what stands in its place where an answer does not carry it. */
const LARGE = {
  external_ai_used: null,
  actual_resources: null,
  estimated_resources: null,
  parameters: {},
  hints: {},
} as const satisfies Partial<Task>;

/**
 * A whole row as callers see it: snake_case names, times as ISO 8601. Only column names change, never keys inside JSON. Where one
 * answer cannot carry it, the largest of its fields stand empty and are named in left_out.
 */
export function toTask(row: TaskRow): Task {
  const task = { ...toWire(row), left_out: [] } as unknown as Task;
  let bytes = bytesInAnswer(task);
  while (bytes > TASK_BYTES) {
    const [largest] = sizesOf(task);
    if (largest === undefined) return task;
    Object.assign(task, { [largest.field]: LARGE[largest.field] });
    task.left_out.push(largest);
    bytes -= largest.bytes;
  }
  return task;
}

/** The fields that may be large, the largest first. */
function sizesOf(task: Task) {
  const fields = Object.keys(LARGE) as (keyof typeof LARGE)[];
  const left = fields.filter((field) => task.left_out.every((one) => one.field !== field));
  return left.map((field) => ({ field, bytes: bytesInAnswer(task[field]) })).toSorted((a, b) => b.bytes - a.bytes);
}

/** A row of a list as callers see it: as toTask, of what a list has. */
export function toSummary(row: TaskRow): TaskSummary {
  return toWire(row) as TaskSummary;
}
