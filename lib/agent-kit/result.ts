import { envelope } from "../protocol/envelope.ts";
import {
  type Message,
  parseMessage,
  serialiseMessage,
  type WorkRequestMessage,
  type WorkResult,
} from "../protocol/messages.ts";
import type { Outcome } from "./define-work.ts";
import { speaking } from "./speaker.ts";
import { clip, messageOf } from "./text.ts";

/** What the kit measures of a run. */
export type Measured = { duration_ms: number; output_bytes: number; steps: number };

/** A result as the kit makes it: the journal knows the attempt. */
type Result = Omit<WorkResult, "attempt">;

/** A request, and the start of it that answers. */
type Started = { request: WorkRequestMessage; startId: string };

/** The result as it is sent; where the author's part of it cannot be sent, a failed one that says so. Never throws. */
export function toResult(run: Started, outcome: Outcome, measured: Measured): Result {
  const { task_id } = run.request.payload;
  let fault: string | undefined;
  try {
    const result = asTold(task_id, outcome, measured);
    fault = unsendable(run, "work_result", result);
    if (fault === undefined) return result;
  } catch (error) {
    // The outcome is the author's object: reading it may run code of theirs.
    fault = messageOf(error);
  }
  const error_message = clip(`the work's own result cannot be sent: ${fault}`, 10_000);
  return { task_id, status: "failed", error_message, metrics: measured };
}

function asTold(task_id: string, outcome: Outcome, measured: Measured): Result {
  const { status = "completed", exit_code } = outcome;
  const reason = outcome.error ?? (exit_code === undefined ? "failed without a reason" : `exit code ${exit_code}`);
  return {
    task_id,
    status,
    ...(exit_code === undefined ? {} : { exit_code }),
    ...(status === "failed" ? { error_message: clip(reason, 10_000) } : {}),
    ...(status === "failed" && outcome.retryable === true ? { retryable: true } : {}),
    // The counts are what the orchestrator asks by for what a queue has lost: they are not the author's to replace.
    metrics: { ...(outcome.metrics as WorkResult["metrics"]), ...measured },
    ...(outcome.external_ai_used === undefined ? {} : { external_ai_used: outcome.external_ai_used }),
  };
}

/** What a signature adds to a message. */
const AS_LONG_AS_SIGNED = { key_id: "wb_000000000000", signature: "0".repeat(86) };

/** Why no queue can carry this as an answer to the request, or undefined where it can. */
export function unsendable({ request, startId }: Started, type: Message["type"], said: object): string | undefined {
  const { request_id, trace_id, from_agent, to_agent, x_custom_fields, payload } = request;
  const identity = {
    messageId: request_id,
    at: new Date(),
    traceId: trace_id,
    requestId: request_id,
    customFields: x_custom_fields,
  };
  try {
    const answer = {
      ...said,
      attempt: payload.attempt,
      ...speaking(startId, payload.lease_token),
    } as Message["payload"];
    const told = { ...envelope(type, from_agent, to_agent, answer, identity), ...AS_LONG_AS_SIGNED };
    const parsed = parseMessage(serialiseMessage(told));
    return parsed.ok ? undefined : parsed.faults.map(({ field, message }) => `${field} ${message}`).join("; ");
  } catch (error) {
    return messageOf(error);
  }
}
