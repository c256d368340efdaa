import type { ErrorReport, ExternalAiUse, Message, WorkResult, WorkStatus } from "../../protocol/messages.ts";
import { type Ending, ended, UNCOUNTED } from "../core/lifecycle.ts";
import type { EndRow } from "./changes.ts";
import { characters } from "./characters.ts";
import type { LockedTask } from "./locked-task.ts";

const ERROR_CHARACTERS = 10_000;

/** How a message ends its attempt; undefined where it does not. */
export function endOf(task: LockedTask, message: Message): EndRow | undefined {
  switch (message.type) {
    case "work_request":
      return undefined;
    case "work_status":
      return message.payload.status === "approved" ? givenAway(task, message.payload, message.message_id) : undefined;
    case "work_result":
      return resultEnd(task, message.payload);
    case "error":
      return errorEnd(task, message.payload);
  }
}

function givenAway(task: LockedTask, { handover }: WorkStatus, messageId: string): EndRow {
  if (handover === undefined) return endRow(task, "handed_back", {});
  return endRow(task, "handed_over", { handedOver: { handover, messageId } });
}

/** The end of an attempt whose agent could not hand its work over as it said: it counts, so that it cannot go round for ever. */
export function handoverFailed(task: LockedTask, errorMessage: string): EndRow {
  return endRow(task, "failed_retryable", { errorMessage: characters(errorMessage, ERROR_CHARACTERS) });
}

function endRow(task: LockedTask, ending: Ending, more: Partial<EndRow>): EndRow {
  const attemptsUsed = UNCOUNTED.includes(ending) ? Math.max(0, task.attemptsUsed - 1) : task.attemptsUsed;
  const status = ended(ending, task.maxAttempts - attemptsUsed);
  const { taskId, traceId, attempt } = task;
  const nothing = { exitCode: null, errorMessage: null, metrics: null, externalAi: null, handedOver: null };
  const backoff = ending === "failed_retryable";
  const row = { ...nothing, ...more, taskId, traceId, attempt, status, attemptsUsed, backoff };
  return status === "failed" ? row : { ...row, errorMessage: null };
}

function resultEnd(task: LockedTask, result: WorkResult): EndRow {
  const ending = result.status === "completed" ? "completed" : result.retryable ? "failed_retryable" : "failed";
  return endRow(task, ending, {
    exitCode: result.exit_code ?? null,
    errorMessage: characters(result.error_message || reasonOf(result), ERROR_CHARACTERS),
    metrics: result.metrics == null ? null : JSON.stringify(result.metrics),
    externalAi: aiUse(result.external_ai_used),
  });
}

function reasonOf(result: WorkResult): string {
  return result.exit_code == null ? "failed; its agent gave no reason" : `failed with exit code ${result.exit_code}`;
}

function errorEnd(task: LockedTask, report: ErrorReport): EndRow {
  const errorMessage = characters(`${report.error_message} (error ${report.error_code})`, ERROR_CHARACTERS);
  return endRow(task, report.error_code === 5001 ? "failed_retryable" : "failed", { errorMessage });
}

function aiUse(use: ExternalAiUse | ExternalAiUse[] | null | undefined): string | null {
  if (use == null) return null;
  const uses = Array.isArray(use) ? use : [use];
  return uses.length === 0 ? null : JSON.stringify(uses);
}
