import { CallerError } from "../../errors.ts";

/** The error, 404, for a task_id that names no work. */
export function unknownWork(taskId: string): CallerError {
  return new CallerError(404, "not_found", `No work has the task_id ${taskId}.`);
}
