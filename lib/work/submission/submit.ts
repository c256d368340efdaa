import { createHash } from "node:crypto";
import { type Actor, teamOf } from "../../access/actor.ts";
import { authorOf } from "../../access/author.ts";
import { CallerError } from "../../errors.ts";
import { canonicalJson, stringifyForQueue } from "../../input/json.ts";
import { MAX_MESSAGE_BYTES } from "../../protocol/messages.ts";
import type { Db } from "../../runtime/postgres/db.ts";
import type { Transactions } from "../../runtime/postgres/team.ts";
import { needsApproval } from "../core/lifecycle.ts";
import type { Routed, Router } from "../core/router-seam.ts";
import type { SubmitWork } from "../core/schema.ts";
import type { TaskRow } from "../core/task-row.ts";
import type { WorkSettings } from "../settings.ts";
import { findByRequest, insertOnce, type NewTask } from "./insert-work.ts";

/** What a work_request says beside its parameters, hints and text: ids, times, numbers, names. Measured: under 900 bytes. */
const ENVELOPE_BYTES = 2_048;

/** What is submitted, and the ids under which it is kept. */
export type Submission = {
  work: SubmitWork;
  /** The UUID of the Idempotency-Key header, if there was one. */
  key: string | undefined;
  taskId: string;
  traceId: string;
  /** Of work that is done again: which, and what was asked to be otherwise, by which the same again is known. */
  again?: { rerunOf: string; asked: Record<string, unknown> };
};

/**
 * Has an agent chosen and keeps the work in one statement and one commit: approved at once, or pending for a person's approval or
 * for want of an agent. It is chosen from what this instance has seen lately, and the statement keeps nothing where that is so no more;
 * then the router looks again. The same key again answers with the work as it is now, whatever the router would say today; with other
 * content it is a conflict. Throws a CallerError for work that cannot be done as asked.
 */
export async function submit(
  pool: Transactions,
  actor: Actor,
  settings: Pick<WorkSettings, "approvalRequired">,
  { route, recall }: Pick<Router, "route" | "recall">,
  submission: Submission,
): Promise<{ row: TaskRow; replayed: boolean }> {
  const { work, key, taskId, traceId, again } = submission;
  const { request_id, created_by, on_behalf_of, ...asked } = work;
  const team_id = teamOf(actor);
  const author = authorOf(actor, "created_by", { by: created_by, onBehalfOf: on_behalf_of });
  const content = { ...asked, created_by: author.by, on_behalf_of: author.onBehalfOf };
  const { not_before } = content;
  const requestId = requestIdOf(request_id, key) ?? taskId;
  const hashes = hashesOf(again?.asked ?? content);
  const message_bytes = sizeOf(work);
  const taskOf = (routed: Routed): NewTask => {
    const reason = routed.agent === null ? undefined : approvalReason(work, settings.approvalRequired);
    return {
      ...content,
      ...(not_before === undefined ? {} : { not_before: keptTime(not_before) }),
      task_id: taskId,
      team_id,
      created_by_id: author.byId,
      request_id: requestId,
      request_hash: hashes[0],
      trace_id: traceId,
      concurrency_key: work.hints.concurrency_key ?? null,
      message_bytes,
      status: reason === undefined ? "pending" : "approved",
      approval_reason: reason ?? null,
      rerun_of: again?.rerunOf ?? null,
    };
  };

  return await pool.begin(async (db) => {
    const recalled = recall(team_id, work);
    const kept = recalled === undefined ? undefined : await insertOnce(db, actor, taskOf(recalled), recalled);
    if (kept !== undefined) return { row: kept, replayed: false };
    const routed = await route(db, team_id, work).catch(async (error: unknown) => {
      if (!(error instanceof CallerError)) throw error;
      const known = await replay(db, team_id, requestId, hashes);
      if (known === undefined) throw error;
      return told(known, taskId);
    });
    if ("row" in routed) return routed;
    const row = await insertOnce(db, actor, taskOf(routed), routed);
    if (row !== undefined) return { row, replayed: false };
    const known = await replay(db, team_id, requestId, hashes);
    if (known === undefined) throw new Error(`request_id ${requestId} is taken and not there`);
    return told(known, taskId);
  });
}

/** Work that was there already; with our own task_id it is this very call, run again after a lost connection: its first run did land. */
function told(row: TaskRow, taskId: string): { row: TaskRow; replayed: boolean } {
  return { row, replayed: row.taskId !== taskId };
}

/** The key of a submission: that of its body or of its header. Throws where they are two. */
export function requestIdOf(requestId: string | undefined, key: string | undefined): string | undefined {
  if (key !== undefined && requestId !== undefined && key !== requestId) {
    const message = "request_id and the header Idempotency-Key say different things. Send one, or both the same.";
    throw new CallerError(400, "invalid_input", message, { fields: [{ field: "request_id", message }] });
  }
  return requestId ?? key;
}

/** The work that this key has made before in the team. Throws where it was made of content that has none of these hashes. */
export async function replay(
  db: Db,
  teamId: string,
  requestId: string,
  hashes: readonly Buffer[],
): Promise<TaskRow | undefined> {
  const before = await findByRequest(db, teamId, requestId);
  if (before === undefined) return undefined;
  const { requestHash, ...known } = before;
  if (hashes.some((hash) => requestHash.equals(hash))) return known;
  const message = `request_id ${requestId} was used for other content (task ${known.taskId}). Use a new one for new work.`;
  throw new CallerError(409, "idempotency_conflict", message);
}

/** Why work is approved at once, or undefined where a person must decide. */
export function approvalReason(
  work: Pick<SubmitWork, "approval" | "work_type">,
  policy: readonly string[],
): string | undefined {
  if (work.approval === "required" || needsApproval(work.work_type, policy)) return undefined;
  return `no policy asks for a person to approve ${work.work_type}`;
}

/** The hash of content; where it has a time, also the one that it had with the time as it was spelt, by which older work is known. */
export function hashesOf(
  content: Record<string, unknown> & { not_before?: string | undefined },
): readonly [Buffer, ...Buffer[]] {
  const { not_before } = content;
  if (not_before === undefined) return [contentHash(content)];
  return [contentHash({ ...content, not_before: instantOf(not_before) }), contentHash(content)];
}

/** The same for equal content, whatever the order of its keys. */
function contentHash(content: Record<string, unknown>): Buffer {
  return createHash("sha256").update(canonicalJson(content)).digest();
}

/** A time as it is kept and answered, to the millisecond: so that what was answered may be sent again as the same content. */
function keptTime(timestamp: string): string {
  return new Date(timestamp).toISOString();
}

/** A moment, equal however it is spelt: seconds since 1970, and the digits of the fraction that say something. */
function instantOf(timestamp: string): string {
  const [, digits = ""] = /\.(\d+)/.exec(keptTime(timestamp)) ?? [];
  return `${Math.floor(Date.parse(timestamp) / 1000)}.${digits.replace(/0+$/, "")}`;
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
