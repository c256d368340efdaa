import { createHash } from "node:crypto";
import { CallerError } from "../errors.ts";
import { stringifyForQueue } from "../protocol/json.ts";
import { MAX_MESSAGE_BYTES, ORCHESTRATOR } from "../protocol/messages.ts";
import type { Db } from "../runtime/db.ts";
import { needsApproval } from "./lifecycle.ts";
import { findByRequest, insertOnce, type TaskRow } from "./queries.ts";
import type { SubmitWork, WorkSettings } from "./schema.ts";

/** What a work_request says beside its parameters, hints and text: ids, times, numbers, names. Measured: under 900 bytes. */
const ENVELOPE_BYTES = 2_048;

export type Submission = {
  work: SubmitWork;
  /** The UUID of the Idempotency-Key header, if there was one. */
  key: string | undefined;
  taskId: string;
  traceId: string;
};

/**
 * Keeps work in one statement and one commit, pending or approved at once. The same key again answers with the work as it is
 * now; with other content it is a conflict. Throws a CallerError for work that cannot be done as asked.
 */
export async function submit(
  db: Db,
  settings: WorkSettings,
  agents: readonly string[],
  submission: Submission,
): Promise<{ row: TaskRow; replayed: boolean }> {
  const { work, key, taskId, traceId } = submission;
  if (key !== undefined && work.request_id !== undefined && key !== work.request_id) {
    const message = "request_id and the header Idempotency-Key say different things. Send one, or both the same.";
    throw new CallerError(400, "invalid_input", message, { fields: [{ field: "request_id", message }] });
  }
  const { request_id, to_agent, ...content } = work;
  const requestId = request_id ?? key ?? taskId;
  const agent = agentFor(work, agents);
  const hash = contentHash({ ...content, to_agent: agent });
  const message_bytes = sizeOf(work);
  const reason = approvalReason(work, settings.APPROVAL_REQUIRED);

  const row = await insertOnce(db, {
    ...content,
    task_id: taskId,
    request_id: requestId,
    request_hash: hash,
    trace_id: traceId,
    to_agent: agent,
    message_bytes,
    status: reason === undefined ? "pending" : "approved",
    approval_reason: reason ?? null,
  });
  if (row !== undefined) return { row, replayed: false };

  const before = await findByRequest(db, requestId);
  if (before === undefined) throw new Error(`request_id ${requestId} is taken and not there`);
  const { requestHash, ...known } = before;
  if (!requestHash.equals(hash)) {
    const message = `request_id ${requestId} was used for other content (task ${known.taskId}). Use a new one for new work.`;
    throw new CallerError(409, "idempotency_conflict", message);
  }
  // With our own task_id it is this very call, run again after a lost connection: its first run did land.
  return { row: known, replayed: known.taskId !== taskId };
}

/** Why work is approved at once, or undefined where a person must decide. */
function approvalReason(work: SubmitWork, policy: readonly string[]): string | undefined {
  if (work.approval === "required" || needsApproval(work.work_type, policy)) return undefined;
  return `no policy asks for a person to approve ${work.work_type}`;
}

function agentFor(work: SubmitWork, agents: readonly string[]): string {
  const named = work.to_agent ?? work.work_type.split(".")[0] ?? "";
  if (agents.includes(named)) return named;
  const known = `Agents are: ${agents.toSorted().join(", ")}.`;
  const [field, message] =
    work.to_agent === undefined
      ? ["work_type", `starts with no agent's name, so name one in to_agent. ${known}`]
      : ["to_agent", `${named === ORCHESTRATOR ? "is not an agent" : "is not known"}. ${known}`];
  throw new CallerError(400, "invalid_input", `${field} ${message}`, { fields: [{ field, message }] });
}

/** The same for equal content, whatever the order of its keys. */
function contentHash(content: Record<string, unknown>): Buffer {
  return createHash("sha256").update(canonical(content)).digest();
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(",")}}`;
}

function sizeOf(work: SubmitWork): number {
  const variable = stringifyForQueue([work.parameters, work.hints, work.request_text]);
  const bytes = Buffer.byteLength(variable) + ENVELOPE_BYTES;
  if (bytes > MAX_MESSAGE_BYTES) {
    const message = `parameters and hints make a message of about ${bytes} bytes; a queue takes ${MAX_MESSAGE_BYTES}. Store what is large elsewhere and name it here.`;
    throw new CallerError(413, "work_too_large", message);
  }
  return bytes;
}
