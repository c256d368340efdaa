import { envelope, type Identity } from "../../protocol/envelope.ts";
import {
  type ErrorReport,
  type HandedOn,
  type Message,
  ORCHESTRATOR,
  serialiseMessage,
} from "../../protocol/messages.ts";
import type { Sign } from "../../protocol/signature.ts";

/** Where the ids and the time of our messages come from, and chance, in [0, 1): the edge. */
export type Stamp = { newId: () => string; now: () => Date; dice: () => number };

/** The same, with what messages to agents are signed with. */
export type Seal = Stamp & { sign: Sign };

type About = { taskId: string; traceId: string; runId: string; toAgent: string; attempt: number };

function identity(about: About, stamp: Stamp): Identity {
  return { messageId: stamp.newId(), at: stamp.now(), traceId: about.traceId, requestId: about.runId };
}

/** A message of ours, ready for a queue. */
export type Written = { id: string; body: string };

function write(message: Message, sign?: Sign): Written {
  return { id: message.message_id, body: serialiseMessage(message, sign) };
}

/** Wakes the dispatcher: this work is approved. A hint, and so unsigned; the row itself is what counts. */
export function wakeUp(about: About, stamp: Stamp): Written {
  const payload = { task_id: about.taskId, attempt: about.attempt, status: "approved" } as const;
  return write(envelope("work_status", ORCHESTRATOR, ORCHESTRATOR, payload, identity(about, stamp)));
}

type OfStart = About & { startId: string | null };

/** Tells an agent to stop this attempt, or the one start of it that is named; it confirms with the same word. */
export function cancelled(about: OfStart, seal: Seal): Written {
  return toStart(about, "cancelled", seal);
}

/** Asks an agent what has become of an attempt. */
export function asked(about: OfStart, seal: Seal): Written {
  return toStart(about, "executing", seal);
}

function toStart(about: OfStart, status: "cancelled" | "executing", seal: Seal): Written {
  const { taskId: task_id, attempt, startId, toAgent } = about;
  const payload = { task_id, attempt, ...(startId === null ? {} : { start_id: startId }), status };
  return write(envelope("work_status", ORCHESTRATOR, toAgent, payload, identity(about, seal)), seal.sign);
}

export type Claimed = About & {
  teamId: string;
  workType: string;
  requestText: string;
  parameters: Record<string, unknown>;
  hints: Record<string, unknown>;
  timeoutSeconds: number;
  handover: HandedOn | null;
  /** The secret of this request of the attempt, of which the hash is kept with it. */
  leaseToken: string;
};

/** Asks an agent to do this attempt. */
export function workRequest(task: Claimed, leaseSeconds: number, seal: Seal): Written {
  const payload = {
    task_id: task.taskId,
    attempt: task.attempt,
    work_type: task.workType,
    request_text: task.requestText,
    parameters: task.parameters as never,
    hints: task.hints as never,
    lease_seconds: leaseSeconds,
    timeout_seconds: task.timeoutSeconds,
    lease_token: task.leaseToken,
    ...(task.handover === null ? {} : { handover: task.handover }),
  };
  return write(envelope("work_request", ORCHESTRATOR, task.toAgent, payload, identity(task, seal)), seal.sign);
}

/** Tells an agent why what it said of this attempt could not be done. */
export function refusal(
  about: About,
  error_code: ErrorReport["error_code"],
  error_message: string,
  seal: Seal,
): Written {
  const payload = { error_code, error_message, task_id: about.taskId, attempt: about.attempt };
  return write(envelope("error", ORCHESTRATOR, about.toAgent, payload, identity(about, seal)), seal.sign);
}
