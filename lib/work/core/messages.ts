import {
  type ErrorReport,
  type HandedOn,
  type Message,
  ORCHESTRATOR,
  PROTOCOL_VERSION,
  serialiseMessage,
} from "../../protocol/messages.ts";

/** What a message of ours says about itself; the ids come from the edge. */
export type Stamp = { newId: () => string; now: () => Date };

type About = { taskId: string; traceId: string; runId: string; toAgent: string; attempt: number };

function envelope(about: About, to: string, stamp: Stamp) {
  return {
    protocol_version: PROTOCOL_VERSION,
    message_id: stamp.newId(),
    from_agent: ORCHESTRATOR,
    to_agent: to,
    timestamp: stamp.now().toISOString(),
    trace_id: about.traceId,
    request_id: about.runId,
  } as const;
}

/** A message of ours, ready for a queue. */
export type Written = { id: string; body: string };

function write(message: Message): Written {
  return { id: message.message_id, body: serialiseMessage(message) };
}

/** Wakes the dispatcher: this work is approved. A hint; the row itself is what counts. */
export function wakeUp(about: About, stamp: Stamp): Written {
  return write({
    ...envelope(about, ORCHESTRATOR, stamp),
    type: "work_status",
    payload: { task_id: about.taskId, attempt: about.attempt, status: "approved" },
  });
}

/** Tells an agent to stop this attempt; no answer is waited for. */
export function cancelled(about: About, stamp: Stamp): Written {
  return write({
    ...envelope(about, about.toAgent, stamp),
    type: "work_status",
    payload: { task_id: about.taskId, attempt: about.attempt, status: "cancelled" },
  });
}

export type Claimed = About & {
  workType: string;
  requestText: string;
  parameters: Record<string, unknown>;
  hints: Record<string, unknown>;
  timeoutSeconds: number;
  handover: HandedOn | null;
};

/** Asks an agent to do this attempt. */
export function workRequest(task: Claimed, leaseSeconds: number, stamp: Stamp): Written {
  return write({
    ...envelope(task, task.toAgent, stamp),
    type: "work_request",
    payload: {
      task_id: task.taskId,
      attempt: task.attempt,
      work_type: task.workType,
      request_text: task.requestText,
      parameters: task.parameters as never,
      hints: task.hints as never,
      lease_seconds: leaseSeconds,
      timeout_seconds: task.timeoutSeconds,
      ...(task.handover === null ? {} : { handover: task.handover }),
    },
  });
}

/** Tells an agent why what it said of this attempt could not be done. */
export function refusal(
  about: About,
  error_code: ErrorReport["error_code"],
  error_message: string,
  stamp: Stamp,
): Written {
  const { taskId: task_id, attempt } = about;
  return write({
    ...envelope(about, about.toAgent, stamp),
    type: "error",
    payload: { error_code, error_message, task_id, attempt },
  });
}
